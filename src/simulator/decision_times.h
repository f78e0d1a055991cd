// DecisionTimes: how long a policy takes to decide, by a steady clock: the only real time in the simulator.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "simulator/run.h"

namespace pixelfleet::simulator {

class DecisionTimes {
 public:
  using Clock = std::chrono::steady_clock;

  void add(Clock::time_point begun, Clock::time_point ended) {
    microseconds_.push_back(std::chrono::duration<double, std::micro>(ended - begun).count());
  }

  void put_into(RunRecord& record) {
    if (microseconds_.empty()) return;
    std::sort(microseconds_.begin(), microseconds_.end());
    double sum = 0.0;
    for (const double each : microseconds_) sum += each;
    record.decision_us_mean = sum / static_cast<double>(microseconds_.size());
    record.decision_us_p99 = microseconds_[(microseconds_.size() * 99 - 1) / 100];
    record.decision_us_max = microseconds_.back();
  }

 private:
  std::vector<double> microseconds_;
};

}  // namespace pixelfleet::simulator
