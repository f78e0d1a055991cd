// CostModel: how long a load or a run will take here: a prior's formula times what measuring taught.
//
// Learned are logarithms of measured over predicted, each observation held to a factor of 3, per key and per parent
// of the key: a model's loads by gpu type and by where the file was; a family's runs by gpu type and sampler. A key
// with few observations leans on its parent (shrinkage), the parent on the prior. Load and run are learned apart.
// Failures never teach. Pure; ties and iteration are ordered.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "scheduler/events.h"

namespace pixelfleet::scheduler {

enum class Tier { host, disk };

class CostModel {
 public:
  // The model's prior for gpus of this name.
  static const CostPrior& prior_for(const ModelFacts& model, const std::string& gpu_name);

  // `images` pictures of this shape in one chunk on a warm worker, before learning.
  static double prior_run_seconds(const RunPrior& prior, const Shape& shape, int images);
  static double prior_load_seconds(const LoadPrior& prior, double bytes, Tier tier, double disk_bytes_per_second);

  // What to multiply a prior's seconds with.
  double run_ratio(const ModelFacts& model, const std::string& sampler, const std::string& gpu_name) const;
  double load_ratio(const ModelFacts& model, const std::string& gpu_name, Tier tier) const;

  // `measured` and `predicted` (the prior's seconds) are positive; anything else teaches nothing. The record to keep.
  std::optional<CostRecord> learn_run(const ModelFacts& model, const std::string& sampler, const std::string& gpu_name,
                                      double measured, double predicted);
  std::optional<CostRecord> learn_load(const ModelFacts& model, const std::string& gpu_name, Tier tier, double measured,
                                       double predicted);
  void remember(const CostRecord& record);

  // How far measured and estimated lie apart: the deviation of the logarithm of their ratio.
  double run_sigma() const { return run_spread_.sigma(); }
  double load_sigma() const { return load_spread_.sigma(); }

  // Changes whenever an answer may have.
  std::uint64_t version() const { return version_; }

 private:
  using Key = std::tuple<CostRecord::Kind, std::string, std::string>;
  struct Mean {
    double log_ratio = 0.0;
    double count = 0.0;
  };
  // Of the last few dozen; before, what machines commonly show.
  class Spread {
   public:
    void add(double deviation);
    double sigma() const;

   private:
    double variance_ = 0.15 * 0.15;
    double count_ = 4.0;
  };
  std::optional<CostRecord> learn(const Key& key, const Key& parent, double measured, double predicted);
  double estimate(const Key& key, const Key& parent) const;
  void set(const Key& key, const Key& parent, const Mean& mean);

  std::map<Key, Mean> means_;
  std::map<Key, Mean> parents_;  // the means of their children, whatever order those came in
  Spread run_spread_;
  Spread load_spread_;
  std::uint64_t version_ = 0;
};

// What is weighed is positive and finite, whatever facts and priors say.
double sane_seconds(double seconds);

// The family whose run times it shares.
const std::string& cost_family(const ModelFacts& model);

}  // namespace pixelfleet::scheduler
