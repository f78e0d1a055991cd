// Deviation: how far measured times lie from predicted ones, as a mean of |ln(measured / predicted)| over the last few.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>

namespace pixelfleet::control {

class Deviation {
 public:
  void add(double measured_seconds, double predicted_seconds) {
    if (!(measured_seconds > 0.0) || !(predicted_seconds > 0.0)) return;
    count_ = std::min(count_ + 1.0, kMemory);
    mean_ += (std::abs(std::log(measured_seconds / predicted_seconds)) - mean_) / count_;
  }
  std::optional<double> mean() const { return count_ > 0.0 ? std::optional(mean_) : std::nullopt; }

 private:
  static constexpr double kMemory = 20.0;

  double mean_ = 0.0;
  double count_ = 0.0;
};

}  // namespace pixelfleet::control
