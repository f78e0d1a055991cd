// Noise: how actual times differ from predicted ones. A pure function of the seed and of what it is asked about, so
// that every policy meets the same luck: a job's factor does not depend on when, where or after what it runs.
//
// Runs: log-normal, sigma 0.12, mean 1, per job. Loads and reads: log-normal, sigma 0.15, mean 1, per (model, how many
// loads of it came before). Regime remote draws loads from a production histogram instead (docs/scheduling.md): its
// fast third is what was cached, the rest came over the network.
#pragma once

#include <cstdint>

#include "simulator/run.h"

namespace pixelfleet::simulator {

enum class Tier { cached, remote };  // where a load's bytes are: in host memory, or not

// Of the histogram's part for that tier.
double remote_load_mean_seconds(Tier tier);
// The load time below which the part `quantile` (0-1) of the tier's loads stay; linear between the published points.
double remote_load_seconds(Tier tier, double quantile);

class Noise {
 public:
  Noise(std::uint64_t seed, Regime regime) : seed_(seed), regime_(regime) {}
  // As little as that, of a machine whose times were measured.
  struct Spread {
    double run_sigma = 0.0;
    double load_sigma = 0.0;
  };
  Noise(std::uint64_t seed, Spread spread) : seed_(seed), spread_(spread) {}

  // Factors on predicted seconds.
  double run(int job) const;
  double load(int model, int earlier_loads, Tier tier) const;
  double stage(int model, int earlier_stagings) const;
  bool runs_out_of_memory(int job, int earlier_chunks, double probability) const;

 private:
  std::uint64_t seed_;
  Regime regime_ = Regime::slow;
  Spread spread_ = {0.12, 0.15};
};

}  // namespace pixelfleet::simulator
