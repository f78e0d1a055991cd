#include "simulator/noise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/rng.h"

namespace pixelfleet::simulator {
namespace {

enum class Stream : std::uint64_t { runs = 1, loads, stagings, memory };

// Independent of its neighbours: SplitMix64 scrambles each step.
Rng rng_of(std::uint64_t seed, Stream stream, int subject, int occasion) {
  Rng rng(seed);
  std::uint64_t state = rng.next() + static_cast<std::uint64_t>(stream);
  state = Rng(state).next() + static_cast<std::uint64_t>(subject);
  state = Rng(state).next() + static_cast<std::uint64_t>(occasion);
  return Rng(state);
}

double log_normal(Rng rng, double sigma) {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - rng.unit()));
  const double normal = radius * std::cos(2.0 * std::numbers::pi * rng.unit());
  return std::exp(sigma * normal - 0.5 * sigma * sigma);
}

struct Point {
  double part;
  double seconds;
};
// Published: p5, p25, p50, p75, p95, p99, and that a third stays below 5 s; the ends are ours.
constexpr std::array<Point, 9> kRemoteLoads = {{{0.0, 2.0},
                                                {0.05, 2.3},
                                                {0.25, 3.1},
                                                {0.33, 5.0},
                                                {0.50, 22.7},
                                                {0.75, 36.9},
                                                {0.95, 45.5},
                                                {0.99, 51.9},
                                                {1.0, 55.0}}};
constexpr double kCachedPart = 0.33;

struct Range {
  double from;
  double to;
};
Range range_of(Tier tier) { return tier == Tier::cached ? Range{0.0, kCachedPart} : Range{kCachedPart, 1.0}; }

double load_factor(Rng rng, Regime regime, double sigma, Tier tier) {
  if (regime == Regime::remote) return remote_load_seconds(tier, rng.unit()) / remote_load_mean_seconds(tier);
  return log_normal(rng, sigma);
}

}  // namespace

double remote_load_mean_seconds(Tier tier) {
  const auto [from, to] = range_of(tier);
  double area = 0.0;
  for (std::size_t i = 1; i < kRemoteLoads.size(); ++i) {
    const Point& left = kRemoteLoads[i - 1];
    const Point& right = kRemoteLoads[i];
    if (left.part < from || right.part > to) continue;
    area += (right.part - left.part) * 0.5 * (left.seconds + right.seconds);
  }
  return area / (to - from);
}

double remote_load_seconds(Tier tier, double quantile) {
  const auto [from, to] = range_of(tier);
  const double part = from + (to - from) * quantile;
  for (std::size_t i = 1; i < kRemoteLoads.size(); ++i) {
    const Point& left = kRemoteLoads[i - 1];
    const Point& right = kRemoteLoads[i];
    if (part > right.part) continue;
    return left.seconds + (right.seconds - left.seconds) * (part - left.part) / (right.part - left.part);
  }
  return kRemoteLoads.back().seconds;
}

double Noise::run(int job) const { return log_normal(rng_of(seed_, Stream::runs, job, 0), spread_.run_sigma); }

double Noise::load(int model, int earlier_loads, Tier tier) const {
  return load_factor(rng_of(seed_, Stream::loads, model, earlier_loads), regime_, spread_.load_sigma, tier);
}

double Noise::stage(int model, int earlier_stagings) const {
  return load_factor(rng_of(seed_, Stream::stagings, model, earlier_stagings), regime_, spread_.load_sigma,
                     Tier::remote);
}

bool Noise::runs_out_of_memory(int job, int earlier_chunks, double probability) const {
  return probability > 0.0 && rng_of(seed_, Stream::memory, job, earlier_chunks).chance(probability);
}

}  // namespace pixelfleet::simulator
