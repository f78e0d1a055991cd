#include "scheduler/amp.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

namespace pixelfleet::scheduler {
namespace {

constexpr double kClassWeight[] = {8.0, 1.0, 0.02};  // interactive, normal, background
constexpr std::size_t kPrefix = 24;                  // jobs of a model that a load is weighed for
constexpr double kAgingBacklog = 20.0;               // the aging clock is this many times the backlog
constexpr double kCopyBehind = 3.0;                  // a further copy beside a run has to gain so many times more
constexpr std::size_t kMostCandidates = 40;          // models weighed for a load
constexpr std::size_t kMostBehind = 8;               // running gpus that a load is weighed for
constexpr double kOtherFamilies = 0.05;              // warm starts yield a little where other models wait too
constexpr double kCopyCounts = 0.5;                  // what a further copy has to gain per second of its load
constexpr double kWhileStaging = 0.5;                // a load from the disk while it is read for another model
constexpr double kWorthOthers = 0.3;                 // of the best index: what the roll-out looks at
constexpr double kDiskNearlyAsFast = 1.6;            // behind a run, from the disk only if not slower by this

double shortest(const BoardJob& job) { return *std::min_element(job.seconds.begin(), job.seconds.end()); }

template <class Visit>
void for_each_gpu(GpuMask mask, Visit visit) {
  for (; mask != 0; mask &= mask - 1) visit(__builtin_ctzll(mask));
}

bool better(const Choice& a, const Choice& b) {
  if (a.kind == Choice::Kind::none || b.kind == Choice::Kind::none)
    return b.kind == Choice::Kind::none && a.kind != b.kind;
  return std::tuple(-a.index, a.job, a.gpu) < std::tuple(-b.index, b.job, b.gpu);
}

}  // namespace

double class_weight(Priority priority) { return kClassWeight[static_cast<std::size_t>(priority)]; }

double backlog_of(const Board& board) {
  int usable = 0;
  double seconds = 0.0;
  for (const BoardGpu& gpu : board.gpus) {
    if (!gpu.usable) continue;
    ++usable;
    if (gpu.running >= 0) seconds += std::max(0.0, gpu.run_end - board.now);
  }
  for (const int model : board.wanted) seconds += board.model(model).queued_seconds;
  return seconds / std::max(usable, 1);
}

void Amp::refresh() {
  usable_ = 0;
  for (const BoardGpu& gpu : board_.gpus) usable_ += gpu.usable ? 1 : 0;
  usable_ = std::max(usable_, 1);
  waiting_ = 0;
  for (const int model : board_.wanted) waiting_ += board_.model(model).queued;
  backlog_ = backlog_of(board_);
  aging_ = std::max(board_.tuning.aging_seconds, kAgingBacklog * backlog_);
  gpu_types_ = 0;
  for (const BoardGpu& gpu : board_.gpus) gpu_types_ = std::max(gpu_types_, static_cast<std::size_t>(gpu.type) + 1);
  holders_ = board_.all_holders();
  worth_.clear();
  worth_of_.assign(board_.models.size(), nullptr);
  homeless_ = 0;
  for (const int model : board_.wanted) {
    if (holders_[static_cast<std::size_t>(model)] == 0) homeless_ += board_.model(model).queued;
  }
  mark_overdue();
  choose_candidates();
}

// Of very many models those whose first jobs, run all together after a load, promise most: as composite() does, but
// from sums. With few models all of them.
void Amp::choose_candidates() {
  candidates_ = board_.wanted;
  if (candidates_.size() <= kMostCandidates) return;
  std::vector<std::pair<double, int>> promising;
  for (const int model : board_.wanted) {
    const BoardModel& facts = board_.model(model);
    const double jobs = static_cast<double>(std::min(facts.window.size(), kPrefix));
    const double seconds = facts.queued_seconds / facts.queued * jobs;
    const double urgency = 1.0 + (board_.now - facts.oldest_arrival) / aging_;
    promising.emplace_back(-jobs * urgency / (facts.load_from_host[0] + seconds), model);
  }
  std::nth_element(promising.begin(), promising.begin() + static_cast<std::ptrdiff_t>(kMostCandidates),
                   promising.end());
  candidates_.clear();
  for (std::size_t i = 0; i < kMostCandidates; ++i) candidates_.push_back(promising[i].second);
  std::sort(candidates_.begin(), candidates_.end());
}

void Amp::mark_overdue() {
  const double soonest = std::max(board_.tuning.guard_seconds, board_.tuning.guard_backlog * backlog_);
  for (BoardModel& model : board_.models) model.overdue = false;
  for (const int index : board_.wanted) {
    BoardModel& model = board_.model(index);
    model.overdue = model.oldest_arrival + soonest <= board_.now &&
                    std::any_of(model.window.begin(), model.window.end(),
                                [this](const BoardJob& job) { return guard(job) <= board_.now; });
  }
}

double Amp::weight(const BoardJob& job) const {
  const int ahead = std::max(0, job.place - board_.owners[static_cast<std::size_t>(job.owner)].ended);
  return class_weight(job.priority) * (1.0 + (board_.now - job.arrived) / aging_) * board_.fairness(ahead);
}

Amp::Worth& Amp::worth(int model) const {
  Worth*& made = worth_of_[static_cast<std::size_t>(model)];
  if (made != nullptr) return *made;
  Worth& worth = worth_.emplace_back();
  made = &worth;
  worth.weights.reserve(board_.model(model).window.size());
  for (const BoardJob& job : board_.model(model).window) {
    const double value = weight(job);
    worth.weights.push_back(value);
    for (std::size_t type = 0; type < gpu_types_; ++type) {
      worth.most[type] = std::max(worth.most[type], value / (board_.throughput > 0 ? 1.0 : job.seconds[type]));
    }
  }
  return worth;
}

double Amp::guard(const BoardJob& job) const {
  const Tuning& tuning = board_.tuning;
  const double base = job.priority == Priority::background ? tuning.background_guard_seconds : tuning.guard_seconds;
  return job.arrived + std::max({base, tuning.guard_run_times * shortest(job),
                                 tuning.guard_backlog * std::max(job.backlog_at_arrival, backlog_)});
}

double Amp::next_guard() const {
  double earliest = kNever;
  for (const int model : board_.wanted) {
    for (const BoardJob& job : board_.model(model).window) {
      const double at = guard(job);
      if (at > board_.now) earliest = std::min(earliest, at);
    }
  }
  return earliest;
}

bool Amp::can_load(int gpu, int model) const {
  const std::vector<int>& refused = board_.gpu(gpu).refused;
  return board_.gpu(gpu).loading < 0 && std::find(refused.begin(), refused.end(), model) == refused.end();
}

const BoardJob* Amp::first_for(int model, int gpu) const {
  for (const BoardJob& job : board_.model(model).window) {
    if (job.gpus & bit(gpu)) return &job;
  }
  return nullptr;
}

bool Amp::may_switch(int gpu) const {
  const BoardGpu& g = board_.gpu(gpu);
  if (g.tenure >= board_.tuning.quantum * g.paid) return true;
  return std::none_of(g.residents.begin(), g.residents.end(),
                      [&](const Resident& resident) { return first_for(resident.model, gpu) != nullptr; });
}

int Amp::waiting_for_residents(int gpu, int except) const {
  int jobs = 0;
  for (const Resident& resident : board_.gpu(gpu).residents) {
    if (resident.model != except) jobs += board_.model(resident.model).queued;
  }
  return jobs;
}

double Amp::ready_at(int model, int gpu) const {
  const BoardGpu& g = board_.gpu(gpu);
  double at = g.running >= 0 ? board_.run_end(gpu) : board_.now;
  if (g.loading == model || (g.loading >= 0 && g.load_excludes_runs)) at = std::max(at, board_.load_end(gpu));
  return at;
}

Choice Amp::overdue_start(GpuMask idle) {
  struct Overdue {
    double guard;
    int model;
    const BoardJob* job;
  };
  std::vector<Overdue> overdue;
  for (const int model : board_.wanted) {
    const BoardModel& facts = board_.model(model);
    if (!facts.overdue) continue;
    // The first one of those that may use the same gpus: another one's gpus may be busy.
    const std::size_t of_this_model = overdue.size();
    for (const BoardJob& job : facts.window) {
      const double at = guard(job);
      if (at > board_.now || !(job.gpus & idle)) continue;
      const auto same = std::find_if(overdue.begin() + static_cast<std::ptrdiff_t>(of_this_model), overdue.end(),
                                     [&job](const Overdue& other) { return other.job->gpus == job.gpus; });
      if (same == overdue.end()) {
        overdue.push_back({at, model, &job});
      } else if (at < same->guard) {
        *same = {at, model, &job};
      }
    }
  }
  std::sort(overdue.begin(), overdue.end(), [](const Overdue& a, const Overdue& b) {
    return std::tuple(a.guard, a.model, a.job->id) < std::tuple(b.guard, b.model, b.job->id);
  });

  for (const auto& [guard_at, model, job] : overdue) {
    const GpuMask allowed = job->gpus;
    Choice warm;
    double warm_seconds = kNever;
    for_each_gpu(idle & allowed & holders_[static_cast<std::size_t>(model)], [&, m = model, j = job](int g) {
      const double seconds = board_.run_seconds(*j, g);
      if (!board_.gpu(g).holds(m) || seconds >= warm_seconds) return;
      warm_seconds = seconds;
      warm = {Choice::Kind::run, g, m, j->id, kNever};
    });
    if (warm.kind != Choice::Kind::none) return warm;

    Choice cold;
    double least = kNever;
    double least_load = kNever;
    for_each_gpu(idle & allowed, [&, m = model, j = job](int g) {
      if (!can_load(g, m) || !may_switch(g)) return;
      const Eviction eviction = eviction_for(board_, holders_, g, m);
      if (eviction.price >= kNever) return;
      const double load = board_.load_seconds(m, g);
      const double cost = load + board_.run_seconds(*j, g) + 0.5 * eviction.price;
      least_load = std::min(least_load, load);
      if (cost >= least) return;
      least = cost;
      cold = {Choice::Kind::load, g, m, j->id, kNever};
    });
    if (cold.kind == Choice::Kind::none) continue;
    double ready = kNever;
    for_each_gpu(allowed & holders_[static_cast<std::size_t>(model)],
                 [&, m = model](int g) { ready = std::min(ready, ready_at(m, g)); });
    if (ready <= board_.now + least_load + shortest(*job)) continue;  // that gpu takes it as its next
    return cold;
  }
  return {};
}

double Amp::warm_value(const BoardJob& job, int gpu, GpuMask idle) const {
  const double seconds = board_.run_seconds(job, gpu);
  double fastest = seconds;
  for_each_gpu(idle & holders(job.model) & ~bit(gpu) & job.gpus, [&](int other) {
    if (board_.gpu(other).holds(job.model)) fastest = std::min(fastest, board_.run_seconds(job, other));
  });
  const double value = board_.throughput > 0 ? weight(job) : weight(job) / seconds;
  return value * std::sqrt(fastest / seconds);
}

void Amp::warm_starts(GpuMask idle, std::vector<Choice>& found) const {
  for_each_gpu(idle, [&](int g) {
    const BoardGpu& gpu = board_.gpu(g);
    int families = 0;
    for (const Resident& resident : gpu.residents) families += board_.model(resident.model).window.empty() ? 0 : 1;
    const double yields = std::max(0.5, 1.0 - kOtherFamilies * std::max(0, families - 1));
    for (const Resident& resident : gpu.residents) {
      Choice best;
      for (const BoardJob& job : board_.model(resident.model).window) {
        if (!(job.gpus & bit(g))) continue;
        const Choice choice{Choice::Kind::run, g, resident.model, job.id, warm_value(job, g, idle) * yields};
        if (better(choice, best)) best = choice;
      }
      if (best.kind != Choice::Kind::none) found.push_back(best);
    }
  });
}

// The best prefix of the model's jobs that have no copy to go to: their weights over `cost` and their run times.
double Amp::composite(int model, int gpu, double cost) const {
  struct Item {
    double weight;
    double seconds;
  };
  std::array<Item, kPrefix> items;
  std::size_t count = 0;
  const GpuMask copies = holders_[static_cast<std::size_t>(model)];
  const std::vector<BoardJob>& window = board_.model(model).window;
  const std::vector<double>& of_window = worth(model).weights;
  for (std::size_t i = 0; i < window.size() && count < kPrefix; ++i) {
    const BoardJob& job = window[i];
    if (!(job.gpus & bit(gpu)) || (job.gpus & copies)) continue;
    const double seconds = board_.run_seconds(job, gpu);
    items[count++] = {of_window[i] * (board_.throughput > 0 ? seconds : 1.0), seconds};
  }
  std::sort(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(count),
            [](const Item& a, const Item& b) { return a.weight * b.seconds > b.weight * a.seconds; });
  double best = 0.0;
  double weights = 0.0;
  double seconds = cost;
  for (std::size_t i = 0; i < count; ++i) {
    weights += items[i].weight;
    seconds += items[i].seconds;
    best = std::max(best, weights / seconds);
  }
  return best;
}

// The sum of the waiting jobs' ends on these copies, each job in order on the one that ends it first; something from
// `most` up if it is not less than that.
double Amp::flow(int model, GpuMask copies, int extra, double extra_ready, double most) const {
  std::array<double, kMaxBoardGpus> ready;
  for_each_gpu(copies, [&](int g) { ready[static_cast<std::size_t>(g)] = ready_at(model, g); });
  if (extra >= 0) ready[static_cast<std::size_t>(extra)] = extra_ready;
  const GpuMask all = copies | (extra >= 0 ? bit(extra) : 0);
  double sum = 0.0;
  std::size_t count = 0;
  const bool splits = board_.tuning.splitting == Part::on && waiting_ <= kFewJobs;
  for (const BoardJob& job : board_.model(model).window) {
    if (count++ == kPrefix || sum >= most) break;
    const int parts = splits ? job.images : 1;
    double last = 0.0;
    for (int part = 0; part < parts; ++part) {
      double first = kNever;
      int on = -1;
      for_each_gpu(all & job.gpus, [&](int g) {
        const double end = ready[static_cast<std::size_t>(g)] + board_.run_seconds(job, g) / parts;
        if (end < first) {
          first = end;
          on = g;
        }
      });
      if (on < 0) break;
      ready[static_cast<std::size_t>(on)] = first;
      last = std::max(last, first - board_.now);
    }
    sum += last;
  }
  return sum;
}

double Amp::flow_without_more(int model) const {
  double& sum = worth(model).flow;
  if (sum < 0.0) sum = flow(model, holders(model), -1, 0.0, kNever);
  return sum;
}

Choice Amp::load_choice(int model, int g, GpuMask idle, double least) const {
  const GpuMask copies = holders(model);
  const Worth& worth = this->worth(model);
  if ((copies & bit(g)) || worth.most[static_cast<std::size_t>(board_.gpu(g).type)] <= least) return {};
  GpuMask idle_copies = 0;
  for_each_gpu(copies & idle, [&](int other) { idle_copies |= board_.gpu(other).holds(model) ? bit(other) : 0; });
  const BoardJob* first = nullptr;  // that no idle gpu could start warm
  bool all_have_copies = true;
  for (const BoardJob& job : board_.model(model).window) {
    if (!(job.gpus & bit(g)) || (job.gpus & idle_copies)) continue;
    if (first == nullptr) first = &job;
    all_have_copies &= (job.gpus & copies) != 0;
  }
  if (first == nullptr || !can_load(g, model)) return {};
  const double load = board_.load_seconds(model, g);
  const double displaced = waiting_for_residents(g, model) + homeless_;
  const double copy_cost = load * (kCopyCounts + displaced / usable_);
  const double without = all_have_copies ? flow_without_more(model) : kNever;
  if (without <= copy_cost) return {};
  const Eviction eviction = eviction_for(board_, holders_, g, model);
  if (eviction.price >= kNever) return {};
  const double price = board_.tuning.eviction * eviction.price;
  double index = 0.0;
  if (!all_have_copies) {
    index = composite(model, g, load + price);
  } else {
    const double most = without - price - copy_cost;
    if (flow(model, copies, g, board_.now + load, most) >= most) return {};
    index = weight(*first) * (board_.throughput > 0 ? board_.run_seconds(*first, g) : 1.0) /
            (load + price + board_.run_seconds(*first, g));
  }
  const bool from_disk = !board_.model(model).in_host;
  if (from_disk && board_.staging >= 0 && board_.staging != model) index *= kWhileStaging;
  if (index <= 0.0) return {};
  return {Choice::Kind::load, g, model, first->id, index};
}

void Amp::cold_loads(GpuMask idle, double least, std::vector<Choice>& found) const {
  GpuMask for_all = ~GpuMask{};
  for (const int model : board_.wanted) for_all &= board_.model(model).gpus_of_all;
  GpuMask empty_types = 0;  // one empty gpu of a type stands for all of them that every job may use
  for_each_gpu(idle, [&](int g) {
    const BoardGpu& gpu = board_.gpu(g);
    if (gpu.loading >= 0 || !may_switch(g)) return;
    if (gpu.residents.empty() && gpu.refused.empty() && (for_all & bit(g)) != 0) {
      if (empty_types & bit(gpu.type)) return;
      empty_types |= bit(gpu.type);
    }
    for (const int model : candidates_) {
      const Choice choice = load_choice(model, g, idle, least);
      if (choice.kind != Choice::Kind::none) found.push_back(choice);
    }
  });
}

Choice Amp::next(std::vector<Choice>* others) {
  const GpuMask idle = board_.idle_gpus();
  if (idle == 0 || board_.wanted.empty()) return {};
  if (const Choice overdue = overdue_start(idle); overdue.kind != Choice::Kind::none) return overdue;

  std::vector<Choice> found;
  warm_starts(idle, found);
  Choice warm;
  for (const Choice& choice : found) {
    if (better(choice, warm)) warm = choice;
  }
  const double least = board_.tuning.hysteresis * warm.index;
  cold_loads(idle, others != nullptr ? kWorthOthers * warm.index : least, found);
  Choice cold;
  for (const Choice& choice : found) {
    if (choice.kind == Choice::Kind::load && better(choice, cold)) cold = choice;
  }
  const Choice best = cold.index > least ? cold : warm;
  if (others != nullptr) {
    others->clear();
    for (const Choice& choice : found) {
      if (choice.index >= kWorthOthers * best.index) others->push_back(choice);
    }
    std::sort(others->begin(), others->end(), better);
  }
  return best;
}

double Amp::best_warm_of(int gpu) const {
  double best = 0.0;
  for (const Resident& resident : board_.gpu(gpu).residents) {
    const std::vector<BoardJob>& window = board_.model(resident.model).window;
    const std::vector<double>& weights = worth(resident.model).weights;
    for (std::size_t i = 0; i < window.size(); ++i) {
      if (!(window[i].gpus & bit(gpu))) continue;
      best = std::max(best, weights[i] / (board_.throughput > 0 ? 1.0 : board_.run_seconds(window[i], gpu)));
    }
  }
  return best;
}

Choice Amp::load_behind_choice(int model, int g, GpuMask idle, double warm) const {
  const BoardModel& facts = board_.model(model);
  const auto type = static_cast<std::size_t>(board_.gpu(g).type);
  const GpuMask copies = holders(model);
  if (copies & bit(g)) return {};
  if (copies == 0 && worth(model).most[type] <= warm) return {};
  const BoardJob* first = first_for(model, g);
  if (first == nullptr || !can_load(g, model)) return {};
  if (!facts.in_host && board_.read_seconds(model) > kDiskNearlyAsFast * facts.load_from_host[type]) return {};
  const double load = kSlowerBesideRun * board_.load_seconds(model, g);
  if ((copies & first->gpus) != 0) return copy_behind_choice(model, g, idle, *first, load);
  const Eviction eviction = eviction_for(board_, holders_, g, model);
  if (eviction.price >= kNever) return {};
  const double index = composite(model, g, load + board_.tuning.eviction * eviction.price);
  return index > warm ? Choice{Choice::Kind::load_behind, g, model, first->id, index} : Choice{};
}

// A further copy, where none of those that there are is idle.
Choice Amp::copy_behind_choice(int model, int g, GpuMask idle, const BoardJob& first, double load) const {
  if (board_.tuning.replicate_behind == Part::off) return {};
  const GpuMask copies = holders(model);
  if (copies & first.gpus & idle) return {};
  const double displaced = waiting_for_residents(g, model) + homeless_;
  const double cost = kCopyBehind * load * (kCopyCounts + displaced / usable_);
  const double without = flow_without_more(model);
  if (without <= cost) return {};
  const Eviction eviction = eviction_for(board_, holders_, g, model);
  if (eviction.price >= kNever) return {};
  const double price = board_.tuning.eviction * eviction.price;
  const double ready = std::max(board_.run_end(g), board_.now + load);
  const double most = without - price - cost;
  if (flow(model, copies, g, ready, most) >= most) return {};
  const double index = weight(first) / (load + price + board_.run_seconds(first, g));
  return {Choice::Kind::load_behind, g, model, first.id, index};
}

// Gpus of overdue jobs whose model is nowhere that they may run. These begin no load for others beside their runs: one
// of them must be free to load it when its run ends, or load after load would keep the job waiting.
GpuMask Amp::kept_for_overdue() const {
  GpuMask kept = 0;
  for (const int model : board_.wanted) {
    if (!board_.model(model).overdue) continue;
    for (const BoardJob& job : board_.model(model).window) {
      if (!(job.gpus & holders(model)) && guard(job) <= board_.now) kept |= job.gpus;
    }
  }
  return kept;
}

// Running gpus that a load may begin beside: of very many those that are free soonest.
std::vector<int> Amp::running_gpus() const {
  std::vector<std::pair<double, int>> running;
  for (int g = 0; g < static_cast<int>(board_.gpus.size()); ++g) {
    const BoardGpu& gpu = board_.gpu(g);
    if (gpu.usable && gpu.running >= 0 && gpu.loading < 0) running.emplace_back(gpu.run_end, g);
  }
  if (running.size() > kMostBehind) {
    std::nth_element(running.begin(), running.begin() + static_cast<std::ptrdiff_t>(kMostBehind), running.end());
    running.resize(kMostBehind);
  }
  std::vector<int> gpus;
  for (const auto& [end, gpu] : running) gpus.push_back(gpu);
  return gpus;
}

Choice Amp::next_behind() const {
  if (board_.tuning.load_behind == Part::off || !board_.load_beside_run || board_.wanted.empty()) return {};
  const GpuMask kept = kept_for_overdue();
  const GpuMask idle = board_.idle_gpus();
  Choice best;
  Choice copy;
  for (const int g : running_gpus()) {
    const double warm = best_warm_of(g);
    for (const int model : candidates_) {
      if ((kept & bit(g)) && !board_.model(model).overdue) continue;
      const Choice choice = load_behind_choice(model, g, idle, warm);
      if (choice.kind == Choice::Kind::none) continue;
      Choice& found = (holders(model) & first_for(model, g)->gpus) != 0 ? copy : best;
      if (better(choice, found)) found = choice;
    }
  }
  return best.kind != Choice::Kind::none ? best : copy;
}

}  // namespace pixelfleet::scheduler
