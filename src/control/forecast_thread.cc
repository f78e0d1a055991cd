#include "control/forecast_thread.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace pixelfleet::control {

Outlooks look_ahead(scheduler::StartForecast& forecast, const ForecastRequest& request) {
  for (const auto& [job, at] : request.started) forecast.started(job, at);
  Outlooks outlooks;
  outlooks.complete = request.complete;
  for (auto& [job, reason] : request.scheduler.explain_all(request.now)) {
    outlooks.jobs.emplace_hint(outlooks.jobs.end(), job, JobOutlook{reason, std::nullopt});
  }
  std::vector<std::pair<Instant, JobId>> by_start;
  for (const auto& [job, start] : forecast.look(request.scheduler, request.now)) {
    const auto found = outlooks.jobs.find(job);
    if (found == outlooks.jobs.end()) continue;
    found->second.start = start;
    by_start.emplace_back(start.earliest, job);
  }
  std::sort(by_start.begin(), by_start.end());
  for (const auto& [earliest, job] : by_start) outlooks.soonest_first.push_back(job);
  for (const auto& [job, outlook] : outlooks.jobs) {
    if (!outlook.start) outlooks.soonest_first.push_back(job);
  }
  return outlooks;
}

ForecastThread::ForecastThread(Inbox& inbox, std::uint64_t seed)
    : inbox_(inbox), forecast_(seed), thread_([this] { run(); }) {}

ForecastThread::~ForecastThread() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ForecastThread::look(ForecastRequest request) {
  {
    MutexLock lock(mutex_);
    request_.emplace(std::move(request));
  }
  changed_.notify_all();
}

void ForecastThread::run() {
  for (;;) {
    std::optional<ForecastRequest> request;
    {
      MutexLock lock(mutex_);
      while (!request_ && !ending_) changed_.wait(mutex_);
      if (ending_) return;
      request = std::exchange(request_, std::nullopt);
    }
    inbox_.post(ForecastMade{std::make_shared<const Outlooks>(look_ahead(forecast_, *request))});
  }
}

}  // namespace pixelfleet::control
