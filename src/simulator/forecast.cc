#include "simulator/forecast.h"

#include <algorithm>

#include "base/rng.h"
#include "scheduler/playback.h"

namespace pixelfleet::simulator {
namespace {

constexpr double kOutside = 0.1;

// The last end of these jobs in one future.
std::optional<Instant> finish_of(scheduler::Playback& playback, const std::vector<scheduler::JobFacts>& extra) {
  std::vector<JobId> ids;
  for (const scheduler::JobFacts& job : extra) {
    ids.push_back(job.id);
    playback.submit(job);
  }
  playback.run_until_ended(ids);
  Instant last{};
  for (const JobId id : ids) {
    const auto ended = playback.ended().find(id);
    if (ended == playback.ended().end()) return std::nullopt;
    last = std::max(last, ended->second);
  }
  return last;
}

}  // namespace

std::optional<PredictedFinish> predict_finish(const scheduler::Scheduler& scheduler, Instant now,
                                              const std::vector<scheduler::JobFacts>& extra,
                                              const ForecastOptions& options) {
  if (extra.empty()) return PredictedFinish{now, now, now};
  Rng rng(options.seed);
  std::vector<Instant> finishes;
  for (int play = 0; play < options.plays; ++play) {
    scheduler::Playback playback(scheduler, now,
                                 {scheduler::Playback::Luck::drawn, rng.next(), options.most_decisions});
    const auto finish = finish_of(playback, extra);
    if (!finish) return std::nullopt;
    finishes.push_back(*finish);
  }
  std::sort(finishes.begin(), finishes.end());
  const auto at = [&finishes](double part) {
    return finishes[static_cast<std::size_t>(part * static_cast<double>(finishes.size() - 1) + 0.5)];
  };
  return PredictedFinish{at(0.5), at(kOutside), at(1.0 - kOutside)};
}

Result<double> predict_finish_s(const Trace& trace, const RunOptions& options) {
  const auto record = run(trace, options);
  if (!record) return fail(record.error());
  double first = 0.0;
  double last = 0.0;
  for (std::size_t i = 0; i < record->jobs.size(); ++i) {
    first = i == 0 ? record->jobs[i].arrival_s : std::min(first, record->jobs[i].arrival_s);
    last = std::max(last, record->jobs[i].end_s);
  }
  return last - first;
}

}  // namespace pixelfleet::simulator
