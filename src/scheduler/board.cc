#include "scheduler/board.h"

#include <cmath>

namespace pixelfleet::scheduler {
namespace {

constexpr double kRateSeconds = 900.0;  // memory of the arrival rates
constexpr double kQueueSeconds = 60.0;  // so many waiting jobs a minute count as a rate
constexpr int kMostQueued = 8;
constexpr double kOnGpuToo = 0.5;            // a file whose model is on a gpu is worth less
constexpr double kWorthAhead = 0.3 / 900.0;  // arrivals per second from which a file is read though nobody waits

// The gpu's memory with these residents (weights, and one workspace for whichever runs) and the model on its way.
class Ledger {
 public:
  Ledger(const Board& board, int gpu_index, int model)
      : memory_bytes_(board.gpu(gpu_index).memory_bytes), most_residents_(board.most_residents) {
    const BoardGpu& gpu = board.gpu(gpu_index);
    const BoardModel& facts = board.model(model);
    add({model, facts.weights_bytes, facts.workspace_bytes, 0});
    if (gpu.loading >= 0) add({gpu.loading, gpu.loading_weights_bytes, gpu.loading_workspace_bytes, 0});
    for (const Resident& resident : gpu.residents) add(resident);
  }
  bool fits() const { return bytes_ + workspace() <= memory_bytes_ && present_.size() <= most_residents_; }
  void add(const Resident& resident) {
    bytes_ += resident.weights_bytes;
    present_.push_back(resident);
  }
  void remove(int model) {
    const auto leaving = std::find_if(present_.begin(), present_.end(),
                                      [model](const Resident& resident) { return resident.model == model; });
    bytes_ -= leaving->weights_bytes;
    present_.erase(leaving);
  }

 private:
  double workspace() const {
    double most = 0.0;
    for (const Resident& resident : present_) most = std::max(most, resident.workspace_bytes);
    return most;
  }

  const double memory_bytes_;
  const std::size_t most_residents_;
  double bytes_ = 0.0;
  std::vector<Resident> present_;
};

// Expected seconds of reloading it: its load, times how likely it is wanted again soon; copies make it cheap.
double price_of(const Board& board, GpuMask holders, int model, int gpu) {
  const double load = board.load_seconds(model, gpu);
  const int queued = board.model(model).queued;
  const double wanted =
      queued > 0 ? 1.0 + 0.5 * std::min(queued, 6) : 1.0 - std::exp(-board.rate(model) * (30.0 + 3.0 * load));
  const int copies_elsewhere = __builtin_popcountll(holders & ~bit(gpu));
  return load * wanted / (1.0 + 1.5 * copies_elsewhere);
}

// An overdue job keeps its model on a gpu that may run it; elsewhere it would only keep others from running.
bool is_kept_for_overdue(const BoardModel& model, int gpu) {
  return model.overdue && std::any_of(model.window.begin(), model.window.end(),
                                      [gpu](const BoardJob& job) { return (job.gpus & bit(gpu)) != 0; });
}

}  // namespace

void Fairness::set_exponent(double exponent) {
  if (exponent == exponent_) return;
  exponent_ = exponent;
  for (std::size_t ahead = 0; ahead < parts_.size(); ++ahead) {
    parts_[ahead] = std::pow(1.0 + static_cast<double>(ahead), -exponent);
  }
}

const BoardJob* Board::find(int index, JobId job) const {
  for (const BoardJob& candidate : model(index).window) {
    if (candidate.id == job) return &candidate;
  }
  return nullptr;
}

double Board::load_seconds(int index, int gpu_index) const {
  const BoardModel& m = model(index);
  const auto type = static_cast<std::size_t>(gpu(gpu_index).type);
  const double from_host = m.load_from_host[type];
  if (m.in_host) return from_host;
  const double alone = m.file_bytes / disk_bytes_per_second;
  const double start = staging == index ? 0.0 : std::max(0.0, m.load_from_disk[type] - alone);  // what is not reading
  return std::max(from_host, start + read_seconds(index));
}

double Board::read_seconds(int index) const {
  if (staging == index) return std::max(0.0, staging_end - now);  // joins it
  const int others = disk_readers + (staging >= 0 ? 1 : 0);
  return model(index).file_bytes / disk_bytes_per_second * (others + 1);
}

double Board::run_seconds(const BoardJob& job, int gpu_index) const {
  const BoardGpu& g = gpu(gpu_index);
  const Resident* worker = g.resident(job.model);
  const int loras = worker != nullptr ? worker->loras : 0;
  const double patch = job.loras != loras ? model(job.model).lora_seconds : 0.0;
  return job.seconds[static_cast<std::size_t>(g.type)] + patch;
}

double Board::rate(int index) const {
  const BoardModel& m = model(index);
  return m.rate * std::exp((m.rate_at - now) / kRateSeconds);
}

GpuMask Board::holders(int index) const {
  GpuMask mask = 0;
  for (std::size_t g = 0; g < gpus.size(); ++g) {
    if (gpus[g].loading == index || gpus[g].holds(index)) mask |= bit(static_cast<int>(g));
  }
  return mask;
}

std::vector<GpuMask> Board::all_holders() const {
  std::vector<GpuMask> holders(models.size(), 0);
  for (std::size_t g = 0; g < gpus.size(); ++g) {
    const auto add = [&](int model) { holders[static_cast<std::size_t>(model)] |= bit(static_cast<int>(g)); };
    if (gpus[g].loading >= 0) add(gpus[g].loading);
    for (const Resident& resident : gpus[g].residents) add(resident.model);
  }
  return holders;
}

GpuMask Board::idle_gpus() const {
  GpuMask mask = 0;
  for (std::size_t g = 0; g < gpus.size(); ++g) {
    if (gpus[g].idle()) mask |= bit(static_cast<int>(g));
  }
  return mask;
}

double host_value(const Board& board, int model) {
  const BoardModel& facts = board.model(model);
  double value = board.rate(model);
  const bool on_gpu = board.holders(model) != 0;
  if (facts.queued > 0 && !on_gpu) value += std::min(facts.queued, kMostQueued) / kQueueSeconds;
  return value / board.disk_bytes_per_second * (on_gpu ? kOnGpuToo : 1.0);
}

NextStaging next_staging(const Board& board) {
  NextStaging best;
  if (board.tuning.staging == Part::off || board.staging >= 0 || board.disk_readers > 0) return best;
  double most = 0.0;
  for (int model = 0; model < static_cast<int>(board.models.size()); ++model) {
    const BoardModel& facts = board.model(model);
    const bool wanted = !facts.window.empty();
    if (facts.in_host || facts.unreadable || facts.file_bytes > board.host_limit || board.holders(model) != 0) continue;
    if (wanted < best.wanted || (!wanted && board.rate(model) <= kWorthAhead)) continue;
    const double value = host_value(board, model);
    if (wanted == best.wanted && value <= most) continue;
    best = {model, wanted};
    most = value;
  }
  return best;
}

Eviction eviction_for(const Board& board, int gpu, int model) {
  return eviction_for(board, board.all_holders(), gpu, model);
}

Eviction eviction_for(const Board& board, const std::vector<GpuMask>& holders, int gpu_index, int model) {
  const BoardGpu& gpu = board.gpu(gpu_index);
  Ledger ledger(board, gpu_index, model);
  Eviction eviction{0.0, {}};
  if (ledger.fits()) return eviction;

  struct Victim {
    double price;
    double per_byte;
    Resident resident;
  };
  std::vector<Victim> candidates;
  for (const Resident& resident : gpu.residents) {
    const BoardModel& facts = board.model(resident.model);
    if (resident.model == gpu.running || facts.pinned || is_kept_for_overdue(facts, gpu_index)) continue;
    const GpuMask copies = holders[static_cast<std::size_t>(resident.model)];
    const double price = price_of(board, copies, resident.model, gpu_index);
    candidates.push_back({price, price / std::max(resident.weights_bytes, 1.0), resident});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Victim& a, const Victim& b) {
    return a.per_byte != b.per_byte ? a.per_byte < b.per_byte : a.resident.model < b.resident.model;
  });
  std::vector<Victim> leaving;
  for (const Victim& victim : candidates) {
    if (ledger.fits()) break;
    ledger.remove(victim.resident.model);
    leaving.push_back(victim);
  }
  if (!ledger.fits()) return {};
  // The last one may have made room for an earlier one to stay.
  for (std::size_t i = leaving.size(); i-- > 0;) {
    ledger.add(leaving[i].resident);
    if (ledger.fits()) {
      leaving.erase(leaving.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ledger.remove(leaving[i].resident.model);
    }
  }
  for (const Victim& victim : leaving) {
    eviction.price += victim.price;
    eviction.victims.push_back(victim.resident.model);
  }
  return eviction;
}

void Board::apply(const Choice& choice) {
  BoardGpu& g = gpu(choice.gpu);
  BoardModel& m = model(choice.model);
  if (choice.kind == Choice::Kind::run) {
    const auto job = std::find_if(m.window.begin(), m.window.end(),
                                  [&choice](const BoardJob& candidate) { return candidate.id == choice.job; });
    const double seconds = run_seconds(*job, choice.gpu);
    g.running = choice.model;
    g.running_owner = job->owner;
    g.run_end = now + seconds;
    for (Resident& resident : g.residents) {
      if (resident.model == choice.model) resident.loras = job->loras;
    }
    g.tenure += seconds;
    m.queued -= 1;
    m.queued_seconds -= *std::min_element(job->seconds.begin(), job->seconds.end());
    m.window.erase(job);
    if (m.window.empty()) std::erase(wanted, choice.model);
    return;
  }
  const bool behind = choice.kind == Choice::Kind::load_behind;
  const double seconds = load_seconds(choice.model, choice.gpu) * (behind ? kSlowerBesideRun : 1.0);
  for (const int victim : eviction_for(*this, choice.gpu, choice.model).victims) {
    std::erase_if(g.residents, [victim](const Resident& resident) { return resident.model == victim; });
  }
  g.load_reads_disk = !m.in_host && staging != choice.model;
  if (g.load_reads_disk) ++disk_readers;
  g.loading = choice.model;
  g.load_end = now + seconds;
  g.loading_weights_bytes = m.weights_bytes;
  g.loading_workspace_bytes = m.workspace_bytes;
  g.load_excludes_runs = !load_beside_run;
  g.load_blocks = !behind;
  if (!behind) g.paid = seconds;
}

bool Board::advance() {
  double next = kNever;
  for (const BoardGpu& g : gpus) {
    if (g.running >= 0) next = std::min(next, g.run_end);
    if (g.loading >= 0) next = std::min(next, g.load_end);
  }
  if (staging >= 0) next = std::min(next, staging_end);
  if (next >= kNever) return false;
  now = std::max(now, next);
  if (staging >= 0 && staging_end <= now) {
    model(staging).in_host = true;
    staging = -1;
  }
  for (BoardGpu& g : gpus) {
    if (g.running >= 0 && g.run_end <= now) {
      if (g.running_owner >= 0) ++owners[static_cast<std::size_t>(g.running_owner)].ended;
      g.running = -1;
    }
    if (g.loading >= 0 && g.load_end <= now) {
      if (g.load_reads_disk) --disk_readers;
      model(g.loading).in_host = true;
      g.residents.push_back({g.loading, g.loading_weights_bytes, g.loading_workspace_bytes, 0});
      if (g.load_blocks) g.tenure = 0.0;
      g.loading = -1;
      g.load_blocks = g.load_excludes_runs = g.load_reads_disk = false;
    }
  }
  return true;
}

}  // namespace pixelfleet::scheduler
