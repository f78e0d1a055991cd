#include "scheduler/scheduler.h"

#include <utility>

#include "scheduler/state.h"

namespace pixelfleet::scheduler {
namespace {

// Frequent events after which no gpu is freer and no job more startable than before.
bool changes_no_choice(const Event& event) {
  return std::holds_alternative<ImageMade>(event) || std::holds_alternative<ImagePublished>(event) ||
         std::holds_alternative<ChunkProgress>(event) || std::holds_alternative<CostRemembered>(event);
}

}  // namespace

Scheduler::Scheduler(FirstIds first) : state_(std::make_unique<State>()) {
  state_->next_chunk = first.chunk;
  state_->next_worker = first.worker;
}

Scheduler::~Scheduler() = default;

Scheduler::Scheduler(const Scheduler& other) : state_(std::make_unique<State>(*other.state_)) {}

Scheduler& Scheduler::operator=(const Scheduler& other) {
  if (this != &other) state_ = std::make_unique<State>(*other.state_);
  return *this;
}

std::vector<Action> Scheduler::step(const Event& event, Instant now) {
  State& state = *state_;
  state.now = now;
  std::visit([&state](const auto& e) { state.on(e); }, event);
  if (!state.uses_amp() || !changes_no_choice(event)) state.place();
  state.ask_to_wake();
  return std::exchange(state.actions, {});
}

std::vector<Scheduler::GpuView> Scheduler::gpus() const {
  std::vector<GpuView> views;
  views.reserve(state_->gpus.size());
  for (const auto& [uuid, slot] : state_->gpus) views.push_back(state_->view(slot));
  return views;
}

Scheduler Scheduler::excerpt(std::size_t most_waiting) {
  // Set aside while the rest is copied: there may be a hundred thousand of them.
  auto jobs = std::exchange(state_->jobs, {});
  auto queue = std::exchange(state_->queue, {});
  Scheduler copy(*this);
  state_->jobs = std::move(jobs);
  state_->queue = std::move(queue);
  copy.state_->take_first_jobs_of(*state_, most_waiting);
  return copy;
}

std::optional<double> Scheduler::expected_seconds(WorkerId id) const {
  const auto worker = state_->workers.find(id);
  if (worker == state_->workers.end() || worker->second.phase == WorkerPhase::ready) return std::nullopt;
  const double seconds = worker->second.expected_seconds;
  return seconds > 0.0 ? std::optional(seconds) : std::nullopt;
}

std::string Scheduler::durable_digest() const { return state_->digest(); }

}  // namespace pixelfleet::scheduler
