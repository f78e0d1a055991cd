// ForecastThread: looks ahead on a thread of its own, one request at a time; the newest one wins.
#pragma once

#include <cstdint>
#include <optional>
#include <thread>

#include "base/mutex.h"
#include "control/forecaster.h"
#include "control/ports.h"
#include "scheduler/start_forecast.h"

namespace pixelfleet::control {

// What a request comes to, at once: reasons of all that wait in it, intervals of those that may start.
Outlooks look_ahead(scheduler::StartForecast& forecast, const ForecastRequest& request);

class ForecastThread final : public Forecaster {
 public:
  // The inbox outlives it.
  ForecastThread(Inbox& inbox, std::uint64_t seed);
  ~ForecastThread() override;

  void look(ForecastRequest request) override;

 private:
  void run();

  Inbox& inbox_;
  scheduler::StartForecast forecast_;  // of the thread

  Mutex mutex_;
  CondVar changed_;
  std::optional<ForecastRequest> request_ GUARDED_BY(mutex_);
  bool ending_ GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace pixelfleet::control
