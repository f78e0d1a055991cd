#include "scheduler/rollout.h"

#include <algorithm>
#include <tuple>

#include "scheduler/amp.h"

namespace pixelfleet::scheduler {
namespace {

constexpr double kHorizonSeconds = 90.0;
constexpr std::size_t kMostCandidates = 5;
constexpr double kClearlyCheaper = 0.98;
constexpr double kBlockingLoad = 1.0;  // per second of it, beside the waiting it causes
constexpr double kLoadBehind = 0.3;
constexpr int kMostWork = 30'000;  // of all plays together: decisions times models and gpus, about 2 ms

// What a second more until its end costs: by the job's class and its wait so far. The heaviest class of those that
// wait counts 1, so that loads weigh the same whatever waits.
class Urgency {
 public:
  explicit Urgency(const Board& board) : now_(board.now) {
    Board copy = board;
    aging_ = Amp(copy).aging();
    for (const int model : board.wanted) {
      for (const BoardJob& job : board.model(model).window) {
        heaviest_ = std::max(heaviest_, class_weight(job.priority));
      }
    }
  }
  double of(const BoardJob& job) const {
    return class_weight(job.priority) / heaviest_ * (1.0 + (now_ - job.arrived) / aging_);
  }

 private:
  double now_;
  double aging_ = 0.0;
  double heaviest_ = 0.0;
};

class Play {
 public:
  Play(const Board& board, const Urgency& urgency, int& budget)
      : board_(board), start_(board.now), urgency_(urgency), budget_(budget) {}

  // The cost of what is known, if `first` is done now; none: nothing before something ends.
  double cost_after(const Choice& first) {
    if (first.kind != Choice::Kind::none) {
      apply(first);
      decide();
    }
    while (budget_ > 0 && board_.advance() && board_.now <= start_ + kHorizonSeconds) decide();
    return cost_ + unfinished();
  }

 private:
  void apply(const Choice& choice) {
    if (choice.kind == Choice::Kind::run) {
      const BoardJob& job = *board_.find(choice.model, choice.job);
      cost_ += urgency_.of(job) * (board_.now - start_ + board_.run_seconds(job, choice.gpu));
    } else {
      const double factor = choice.kind == Choice::Kind::load ? kBlockingLoad : kLoadBehind;
      cost_ += factor * board_.load_seconds(choice.model, choice.gpu);
    }
    board_.apply(choice);
  }

  void decide() {
    const int work = 10 + static_cast<int>(board_.wanted.size() * board_.gpus.size());
    budget_ -= work;
    amp_.refresh();
    const auto take_all = [&](auto pick) {
      for (Choice choice = pick(); choice.kind != Choice::Kind::none && budget_ > 0; choice = pick()) {
        budget_ -= work;
        apply(choice);
        amp_.refresh();
      }
    };
    take_all([this] { return amp_.next(); });
    take_all([this] { return amp_.next_behind(); });
    stage();
  }

  // Room is taken for granted: what it pushes out is worth less.
  void stage() {
    const int model = next_staging(board_).model;
    if (model < 0) return;
    board_.staging = model;
    board_.staging_end = board_.now + board_.model(model).file_bytes / board_.disk_bytes_per_second;
  }

  // What still waits: shortest first on all gpus together, and a load for each model that is nowhere.
  double unfinished() const {
    std::vector<std::pair<double, double>> jobs;  // seconds, urgency
    double at = board_.now - start_;
    const double gpus = std::max<double>(1.0, static_cast<double>(board_.gpus.size()));
    for (const int model : board_.wanted) {
      if (board_.holders(model) == 0) at += board_.model(model).load_from_host[0] / gpus;
      for (const BoardJob& job : board_.model(model).window) {
        jobs.emplace_back(*std::min_element(job.seconds.begin(), job.seconds.end()), urgency_.of(job));
      }
    }
    std::sort(jobs.begin(), jobs.end());
    double sum = 0.0;
    for (const auto& [seconds, urgency] : jobs) {
      at += seconds / gpus;
      sum += urgency * at;
    }
    return sum;
  }

  Board board_;
  Amp amp_{board_};
  const double start_;
  const Urgency& urgency_;
  int& budget_;
  double cost_ = 0.0;
};

// Two candidates that differ only in which of several equal gpus they use are one.
bool same_effect(const Board& board, const Choice& a, const Choice& b) {
  const auto models = [&board](const Choice& choice) {
    std::vector<int> present;
    for (const Resident& resident : board.gpu(choice.gpu).residents) present.push_back(resident.model);
    std::sort(present.begin(), present.end());
    return present;
  };
  return std::tuple(a.kind, a.model, board.gpu(a.gpu).type) == std::tuple(b.kind, b.model, board.gpu(b.gpu).type) &&
         (a.kind != Choice::Kind::run || a.job == b.job) && models(a) == models(b);
}

// A load from the disk while the disk reads for another model: it may pay to let that one finish.
bool may_wait(const Board& board, const Choice& base) {
  return base.kind == Choice::Kind::load && !board.model(base.model).in_host && board.holders(base.model) == 0 &&
         board.staging >= 0;
}

}  // namespace

bool worth_a_rollout(const Board& board, const Choice& base, const std::vector<Choice>& others) {
  if (board.tuning.rollout == Part::off || base.kind == Choice::Kind::none || base.index >= kNever) return false;
  int waiting = 0;
  for (const int model : board.wanted) waiting += board.model(model).queued;
  if (waiting > kRolloutQueue) return false;
  const auto is_load = [](const Choice& choice) { return choice.kind == Choice::Kind::load; };
  if (!is_load(base) && std::none_of(others.begin(), others.end(), is_load)) return false;
  return others.size() > 1 || may_wait(board, base);
}

Choice best_by_rollout(const Board& board, const Choice& base, const std::vector<Choice>& others) {
  const Urgency urgency(board);
  std::vector<Choice> candidates{base};
  for (const Choice& other : others) {
    if (candidates.size() == kMostCandidates) break;
    const bool known = std::any_of(candidates.begin(), candidates.end(),
                                   [&](const Choice& candidate) { return same_effect(board, candidate, other); });
    if (!known) candidates.push_back(other);
  }
  if (may_wait(board, base)) candidates.push_back({});

  int budget = kMostWork;
  const double stay = Play(board, urgency, budget).cost_after(base);
  Choice best = base;
  double least = kClearlyCheaper * stay;
  for (std::size_t i = 1; i < candidates.size(); ++i) {
    const double cost = Play(board, urgency, budget).cost_after(candidates[i]);
    if (budget <= 0) break;  // an unfinished play compares with nothing
    if (cost >= least) continue;
    least = cost;
    best = candidates[i];
  }
  return best;
}

}  // namespace pixelfleet::scheduler
