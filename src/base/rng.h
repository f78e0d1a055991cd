// Rng: a small seeded generator (SplitMix64) whose sequence is the same on every machine and compiler.
#pragma once

#include <cstdint>

namespace pixelfleet {

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound); bound > 0. The bias of the multiply-shift is below 2^-32 for bounds under 2^32.
  std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
  }

  // Uniform in [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

  bool chance(double probability) { return unit() < probability; }

 private:
  __extension__ typedef unsigned __int128 Wide;  // -Wpedantic knows no 128 bit integers

  std::uint64_t state_;
};

// A seed from the operating system's entropy.
std::uint64_t random_seed();

}  // namespace pixelfleet
