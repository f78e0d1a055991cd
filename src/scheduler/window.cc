// The jobs of a model that the board shows, chosen from the first ones in order.
//
// These are kept from decision to decision and follow what the queue says has changed, so that a job that comes or goes
// costs as little behind a hundred thousand others as behind ten.
#include <algorithm>
#include <tuple>
#include <utility>

#include "scheduler/state.h"

namespace pixelfleet::scheduler {
namespace {

constexpr std::size_t kScan = 96;  // jobs of a model, first in order, that a window is chosen from
constexpr float kUnknownSeconds = 1e9f;

auto lower_bound(std::vector<Planning::Scanned>& scanned, const Position& position) {
  return std::lower_bound(scanned.begin(), scanned.end(), position,
                          [](const Planning::Scanned& job, const Position& at) { return job.position < at; });
}

}  // namespace

// Its window: of the scanned jobs and the first of each lane and priority, wherever it stands, kWindow.
void Scheduler::State::sync_window(const ModelKey& key, const Queue::Changes& changes) {
  const int index = model_index(key);
  const auto known = models.find(key);
  std::vector<Planning::Scanned>& scanned = planning.windows[static_cast<std::size_t>(index)];
  BoardModel& model = planning.board.model(index);
  model.window.clear();
  model.queued = static_cast<int>(queue.count(key));
  model.queued_seconds = 0.0;
  if (model.queued == 0 || known == models.end()) return scanned.clear();
  scan(scanned, key, changes);
  for (Planning::Scanned& job : scanned) expect_seconds(job, known->second);

  const std::size_t in_order = scanned.size();
  std::vector<JobId> firsts;
  if (static_cast<std::size_t>(model.queued) > kWindow) firsts = queue.firsts_of(key);
  if (static_cast<std::size_t>(model.queued) > in_order) {
    const Position last = scanned.back().position;
    for (const JobId first : firsts) {
      OpenJob& job = jobs.at(first);
      if (!(last < Position{job.priority, job.rank, job.id})) continue;
      scanned.push_back(scanned_job(job, index));
      expect_seconds(scanned.back(), known->second);
    }
  }
  const double part = static_cast<double>(model.queued) / static_cast<double>(scanned.size());
  model.oldest_arrival = kNever;
  for (const auto& [position, pace, seconds, entry] : scanned) {
    model.queued_seconds += *std::min_element(entry.seconds.begin(), entry.seconds.end()) * part;
    model.oldest_arrival = std::min(model.oldest_arrival, entry.arrived);
  }
  choose_window(scanned, model, std::move(firsts));
  model.gpus_of_all = ~GpuMask{};
  for (const BoardJob& job : model.window) model.gpus_of_all &= job.gpus;
  scanned.resize(in_order);
}

// The first kScan jobs in order.
void Scheduler::State::scan(std::vector<Planning::Scanned>& scanned, const ModelKey& key,
                            const Queue::Changes& changes) {
  const int index = model_index(key);
  if (changes.extent == Queue::Changes::Extent::all) scanned.clear();
  for (const Position& left : changes.left) {
    const auto at = lower_bound(scanned, left);
    if (at != scanned.end() && at->position == left) scanned.erase(at);
  }
  for (const Position& entered : changes.entered) {
    const auto at = lower_bound(scanned, entered);
    if (at == scanned.end() || at->position == entered || !queue.waits_at(entered)) continue;
    scanned.insert(at, scanned_job(jobs.at(entered.job), index));
  }
  if (scanned.size() > kScan) scanned.resize(kScan);
  if (scanned.size() == kScan) return;
  for (Queue::Walk walk = scanned.empty() ? Queue::Walk(queue, key) : Queue::Walk(queue, key, scanned.back().position);
       !walk.at_end() && scanned.size() < kScan; walk.next()) {
    scanned.push_back(scanned_job(jobs.at(walk.job()), index));
  }
}

Planning::Scanned Scheduler::State::scanned_job(OpenJob& job, int model) {
  const ModelFacts& facts = models.at(job.model);
  Estimate& estimate = job.estimate;
  const int images = static_cast<int>(job.missing.size() - job.in_flight.size() - job.in_chunks.size());
  if (estimate.images != images || estimate.gpu_types != planning.gpu_types.size()) {
    estimate.images = images;
    estimate.gpu_types = planning.gpu_types.size();
    estimate.seconds.fill(kUnknownSeconds);
    for (std::size_t type = 0; type < estimate.gpu_types; ++type) {
      const CostPrior& prior = CostModel::prior_for(facts, planning.gpu_types[type]);
      estimate.seconds[type] = static_cast<float>(CostModel::prior_run_seconds(prior.run, job.shape, images));
    }
  }
  if (estimate.machine != planning.machine) {
    estimate.machine = planning.machine;
    estimate.gpus = 0;
    for (const Slot* slot : candidates(job.lane())) {
      const auto at = std::find(selected.begin(), selected.end(), slot->gpu.uuid) - selected.begin();
      estimate.gpus |= bit(static_cast<int>(at));
    }
  }
  pace_of(job);
  BoardJob entry;
  entry.id = job.id;
  entry.priority = job.priority;
  entry.model = model;
  entry.owner = estimate.owner;
  entry.place = estimate.place;
  entry.images = images;
  entry.loras = estimate.loras;
  entry.arrived = to_seconds(job.arrived_at);
  entry.backlog_at_arrival = estimate.backlog_at_arrival;
  entry.gpus = estimate.gpus;
  if (queue.any_moved()) {
    for (std::size_t g = 0; g < selected.size(); ++g) {
      if (must_wait_for_moved(job, gpus.at(selected[g]))) entry.gpus &= ~bit(static_cast<int>(g));
    }
  }
  return {{job.priority, job.rank, job.id}, estimate.pace, estimate.seconds, entry};
}

void Scheduler::State::expect_seconds(Planning::Scanned& scanned, const ModelFacts& model) {
  const Planning::Pace& learned = pace(scanned.pace, model);
  scanned.entry.seconds.fill(kUnknownSeconds);
  for (std::size_t type = 0; type < planning.gpu_types.size(); ++type) {
    const double seconds = static_cast<double>(scanned.seconds[type]) * static_cast<double>(learned.ratio[type]);
    scanned.entry.seconds[type] = static_cast<float>(sane_seconds(seconds));
  }
}

const Planning::Pace& Scheduler::State::pace_of(OpenJob& job) {
  const ModelFacts& model = models.at(job.model);
  if (job.estimate.pace < 0) {
    const auto [found, inserted] = planning.pace_index.emplace(std::pair(cost_family(model), job.shape.sampler),
                                                               static_cast<int>(planning.paces.size()));
    if (inserted) planning.paces.push_back({job.shape.sampler, 0, 0, {}});
    job.estimate.pace = found->second;
  }
  return pace(job.estimate.pace, model);
}

const Planning::Pace& Scheduler::State::pace(int index, const ModelFacts& model) {
  Planning::Pace& pace = planning.paces[static_cast<std::size_t>(index)];
  if (pace.version == planning.costs.version() + 1 && pace.gpu_types == planning.gpu_types.size()) return pace;
  pace.version = planning.costs.version() + 1;
  pace.gpu_types = planning.gpu_types.size();
  for (std::size_t type = 0; type < pace.gpu_types; ++type) {
    pace.ratio[type] = static_cast<float>(planning.costs.run_ratio(model, pace.sampler, planning.gpu_types[type]));
  }
  return pace;
}

// The older half stays; then the first of each lane and priority, the oldest first, for whoever waits longest for any
// gpu must be seen when it is overdue; then each owner's first. In order, as before.
void Scheduler::State::choose_window(std::vector<Planning::Scanned>& scanned, BoardModel& model,
                                     std::vector<JobId> firsts) const {
  if (scanned.size() <= kWindow) {
    for (const Planning::Scanned& job : scanned) model.window.push_back(job.entry);
    return;
  }
  std::sort(firsts.begin(), firsts.end());
  using Worth = std::tuple<int, double, int, std::size_t>;  // of staying: the least stay; last their place
  std::vector<Worth> worth;
  worth.reserve(scanned.size());
  for (std::size_t at = kWindow / 2; at < scanned.size(); ++at) {
    const BoardJob& job = scanned[at].entry;
    if (std::binary_search(firsts.begin(), firsts.end(), job.id)) {
      worth.emplace_back(1, job.arrived, 0, at);
    } else {
      const int ahead = job.place - planning.board.owners[static_cast<std::size_t>(job.owner)].ended;
      worth.emplace_back(2, static_cast<double>(job.priority), std::max(0, ahead), at);
    }
  }
  const auto stay = worth.begin() + (kWindow - kWindow / 2);
  std::nth_element(worth.begin(), stay, worth.end());
  std::sort(worth.begin(), stay, [](const Worth& a, const Worth& b) { return std::get<3>(a) < std::get<3>(b); });
  for (std::size_t at = 0; at < kWindow / 2; ++at) model.window.push_back(scanned[at].entry);
  for (auto job = worth.begin(); job != stay; ++job) model.window.push_back(scanned[std::get<3>(*job)].entry);
}

}  // namespace pixelfleet::scheduler
