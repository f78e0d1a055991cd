#include "control/forecasting.h"

#include <utility>

namespace pixelfleet::control {
namespace {

constexpr Duration kAfterEvents = std::chrono::seconds{1};
constexpr Duration kAfterNothing = std::chrono::seconds{5};  // what is free "in 4 s" is so no longer
constexpr std::size_t kMostJobs = 500;                       // waiting ones that are looked at
constexpr std::size_t kMostStarts = 1000;                    // that are remembered between two looks

}  // namespace

void Forecasting::job_started(JobId job, Instant at) {
  if (forecaster_ != nullptr && started_.size() < kMostStarts) started_.emplace_back(job, at);
}

std::optional<Instant> Forecasting::due() const {
  if (forecaster_ == nullptr || under_way_ || waiting_ == 0) return std::nullopt;
  return looked_at_ + (happened_ ? kAfterEvents : kAfterNothing);
}

void Forecasting::look_if_due(scheduler::Scheduler& scheduler, Instant now) {
  const auto at = due();
  if (!at || now < *at) return;
  looked_at_ = now;
  happened_ = false;
  under_way_ = true;
  forecaster_->look({scheduler.excerpt(kMostJobs), now, std::exchange(started_, {}), waiting_ <= kMostJobs});
}

void Forecasting::take(OutlooksPtr outlooks) {
  under_way_ = false;
  outlooks_ = std::move(outlooks);
}

}  // namespace pixelfleet::control
