#include "sharing/holdings.h"

#include <algorithm>
#include <set>

namespace pixelfleet::sharing {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
// Memory that no process accounts for: the driver's own, what figures are off by.
constexpr std::int64_t kLeastSlack = 512 * kMiB;
constexpr std::int64_t kSlackPerBelieved = 10;  // a tenth
constexpr std::int64_t kMostBytes = std::int64_t{1} << 48;
constexpr int kMissesForHidden = 3;

std::int64_t sane_claim(std::int64_t bytes) { return std::clamp<std::int64_t>(bytes, 0, kMostBytes); }

}  // namespace

std::optional<std::int64_t> sane_bytes(std::optional<std::int64_t> bytes, std::int64_t total_bytes) {
  if (!bytes || *bytes < 0 || *bytes > (total_bytes > 0 ? total_bytes : kMostBytes)) return std::nullopt;
  return bytes;
}

std::optional<std::int64_t> occupied_bytes(const GpuSample& sample, std::int64_t total_bytes) {
  // The driver's own part is missing in the total, but in older drivers not in what is used.
  const std::int64_t limit =
      total_bytes > 0 ? total_bytes + sample.detail.memory_reserved_bytes.value_or(0) : total_bytes;
  const auto used = sane_bytes(sample.memory_used_bytes, limit);
  const auto free = sane_bytes(sample.memory_free_bytes, total_bytes);
  if (!free || total_bytes <= 0) return used;
  const std::int64_t taken = total_bytes - *free;
  if (!used) return sample.memory_used_bytes ? std::nullopt : std::optional(taken);
  // Both are read at one moment and make up the total, give or take what the driver keeps.
  const std::int64_t tolerance = total_bytes / 20 + (std::int64_t{1} << 30);
  if (std::max(*used, taken) - std::min(*used, taken) > tolerance) return std::nullopt;
  return std::max(*used, taken);
}

// What the list of processes says, and whose they are.
struct Holdings::Listed {
  std::int64_t named = 0;      // of ours
  std::int64_t strangers = 0;  // other compute processes
  std::int64_t graphics = 0;
  OthersCompute largest;
  std::vector<const Worker*> unlisted;  // live or just gone, and not named
  bool tells_list = false;
  bool all_told = true;     // each listed process of ours has its size
  bool names_any = false;   // of our workers
  bool misses_any = false;  // of those that have loaded
  bool without_pid = false;
};

Holdings::Worker* Holdings::find(WorkerId worker) {
  const auto found = workers_.find(worker);
  return found == workers_.end() ? nullptr : &found->second;
}

void Holdings::apply(const Event& event, Instant now) {
  std::erase_if(workers_, [&](const auto& entry) {
    return entry.second.stage == Worker::Stage::ended && now - entry.second.changed > kSampleLag;
  });
  if (const auto* started = std::get_if<WorkerStarted>(&event)) {
    Worker worker;
    worker.gpu = started->gpu;
    const Claim& claim = started->claim;
    worker.peak_bytes =
        sane_claim(claim.weights_bytes) + sane_claim(claim.activation_bytes) + sane_claim(claim.overhead_bytes);
    worker.changed = now;
    workers_[started->worker] = worker;
  } else if (const auto* spawned = std::get_if<WorkerSpawned>(&event)) {
    if (Worker* worker = find(spawned->worker)) worker->pid = spawned->pid;
  } else if (const auto* ready = std::get_if<WorkerReady>(&event)) {
    Worker* worker = find(ready->worker);
    if (worker == nullptr || worker->stage != Worker::Stage::loading) return;
    worker->stage = Worker::Stage::ready;
    worker->changed = now;
  } else if (const auto* measured = std::get_if<WorkerMeasured>(&event)) {
    Worker* worker = find(measured->worker);
    if (worker == nullptr) return;
    if (measured->resting_bytes) worker->resting_bytes = sane_claim(*measured->resting_bytes);
    if (measured->peak_bytes) worker->peak_bytes = sane_claim(*measured->peak_bytes);
    worker->peak_bytes = std::max(worker->peak_bytes, worker->resting_bytes.value_or(0));
  } else if (const auto* ended = std::get_if<WorkerEnded>(&event)) {
    Worker* worker = find(ended->worker);
    if (worker == nullptr || worker->stage == Worker::Stage::ended) return;
    worker->stage = Worker::Stage::ended;
    worker->job.reset();
    worker->changed = now;
  } else if (const auto* chunk = std::get_if<ChunkStarted>(&event)) {
    Worker* worker = find(chunk->worker);
    if (worker == nullptr || worker->stage == Worker::Stage::ended) return;
    worker->stage = Worker::Stage::ready;
    worker->job = chunk->job;
    worker->changed = now;
  } else if (const auto* over = std::get_if<ChunkEnded>(&event)) {
    Worker* worker = find(over->worker);
    if (worker == nullptr || !worker->job) return;
    worker->job.reset();
    worker->changed = now;
  }
}

ByteRange Holdings::range_of(const Worker& worker, Instant now) {
  if (worker.stage != Worker::Stage::ready || !worker.resting_bytes) return {0, worker.peak_bytes};
  const bool steady = !worker.job && now - worker.changed > kSampleLag;
  return {*worker.resting_bytes, steady ? *worker.resting_bytes : worker.peak_bytes};
}

Holdings::Listed Holdings::sort_out(const GpuSample& sample, Instant now) const {
  Listed listed;
  std::map<std::int64_t, const Worker*> by_pid;
  for (const auto& [id, worker] : workers_) {
    if (worker.gpu != sample.uuid) continue;
    if (worker.pid) by_pid[*worker.pid] = &worker;
    if (!worker.pid && worker.stage != Worker::Stage::ended) listed.without_pid = true;
  }
  std::set<const Worker*> named;
  listed.tells_list = sample.detail.processes.has_value();
  for (const GpuProcess& process : sample.detail.processes.value_or(std::vector<GpuProcess>{})) {
    const auto bytes = sane_bytes(process.memory_used_bytes, kMostBytes);
    const auto ours = by_pid.find(process.pid);
    if (ours != by_pid.end()) {
      named.insert(ours->second);
      listed.named += bytes.value_or(0);
      listed.all_told = listed.all_told && bytes.has_value();
    } else if (process.kind == GpuProcess::Kind::graphics) {
      listed.graphics += bytes.value_or(0);
    } else {
      listed.strangers += bytes.value_or(0);
      if (listed.largest.pid && bytes.value_or(0) <= listed.largest.bytes) continue;
      listed.largest = {process.pid, process.name, bytes.value_or(0)};
    }
  }
  for (const auto& [id, worker] : workers_) {
    if (worker.gpu != sample.uuid) continue;
    if (!named.contains(&worker)) listed.unlisted.push_back(&worker);
    if (named.contains(&worker)) listed.names_any = true;
    const bool has_loaded = worker.stage == Worker::Stage::ready && (worker.job || now - worker.changed > kSampleLag);
    if (worker.pid && has_loaded && !named.contains(&worker)) listed.misses_any = true;
  }
  return listed;
}

void Holdings::learn_from(const Listed& listed) {
  if (!listed.tells_list || !(listed.names_any || listed.misses_any)) return;
  if (listed.names_any && !listed.misses_any) {
    pids_ = Pids::seen;
    misses_ = 0;
  } else if (!listed.names_any && ++misses_ >= kMissesForHidden) {
    pids_ = Pids::hidden;
  }
}

Split Holdings::split(const GpuSample& sample, std::int64_t total_bytes, Instant now) {
  const Listed listed = sort_out(sample, now);
  learn_from(listed);
  Split split;
  split.ours = {listed.named, listed.named};
  for (const Worker* worker : listed.unlisted) {
    const ByteRange range = range_of(*worker, now);
    split.ours.least += range.least;
    split.ours.most += range.most;
  }
  split.believed = believed_on(sample.uuid, now);
  if (!listed.all_told) split.ours = split.believed;
  const bool names_each = listed.tells_list && listed.unlisted.empty() && listed.all_told && listed.named > 0;
  if (names_each) split.ours_by_driver = listed.named;
  const auto occupied = occupied_bytes(sample, total_bytes);
  if (occupied) {
    const auto rest = [&](std::int64_t ours) { return std::max<std::int64_t>(0, *occupied - ours); };
    split.not_ours = ByteRange{rest(split.ours.most), rest(split.ours.least)};
  }
  name_others(split, listed);
  return split;
}

// What others use for computing, at least. Where ours cannot be told from theirs by name, everything that ours may
// hold is taken off, and some more for what figures are off by.
void Holdings::name_others(Split& split, const Listed& listed) const {
  if (!listed.tells_list && !split.not_ours) return;
  const std::int64_t slack = std::max(kLeastSlack, split.ours.most / kSlackPerBelieved);
  const bool certain = listed.unlisted.empty() || (pids_ == Pids::seen && !listed.without_pid);
  const std::int64_t named = certain ? listed.strangers : 0;
  if (certain && listed.tells_list) {
    const ByteRange range = split.not_ours.value_or(ByteRange{0, kMostBytes});
    split.not_ours = {std::clamp(named + listed.graphics, range.least, range.most), range.most};
  }
  // Beyond all processes that the driver lists: those that it hides, or whose size it does not tell.
  std::int64_t by_figures = 0;
  if (split.not_ours) by_figures = split.not_ours->least - listed.graphics - slack;
  if (!certain) by_figures = std::max(by_figures, listed.strangers + listed.named - split.ours.most - slack);
  split.proof = named >= by_figures ? Split::Proof::named : Split::Proof::by_figures;
  split.others = certain ? listed.largest : OthersCompute{};
  split.others->bytes = std::max<std::int64_t>({named, by_figures, 0});
}

bool Holdings::rests(const GpuUuid& gpu, Duration since, Instant now) const {
  return std::none_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    const Worker& worker = entry.second;
    if (worker.gpu != gpu) return false;
    return worker.job || worker.stage == Worker::Stage::loading || now - worker.changed < since;
  });
}

bool Holdings::works(const GpuUuid& gpu) const {
  return std::any_of(workers_.begin(), workers_.end(),
                     [&](const auto& entry) { return entry.second.gpu == gpu && entry.second.job; });
}

bool Holdings::any_on(const GpuUuid& gpu) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) {
    return entry.second.gpu == gpu && entry.second.stage != Worker::Stage::ended;
  });
}

bool Holdings::remembers_any(const GpuUuid& gpu) const {
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& entry) { return entry.second.gpu == gpu; });
}

std::int64_t Holdings::peaks_on(const GpuUuid& gpu) const {
  std::int64_t sum = 0;
  for (const auto& [id, worker] : workers_) {
    if (worker.gpu == gpu && worker.stage != Worker::Stage::ended) sum += worker.peak_bytes;
  }
  return sum;
}

ByteRange Holdings::believed_on(const GpuUuid& gpu, Instant now) const {
  ByteRange sum;
  for (const auto& [id, worker] : workers_) {
    if (worker.gpu != gpu) continue;
    const ByteRange range = range_of(worker, now);
    sum.least += range.least;
    sum.most += range.most;
  }
  return sum;
}

}  // namespace pixelfleet::sharing
