#include "simulator/rival_driver.h"

#include <algorithm>
#include <variant>

#include "base/check.h"
#include "base/format.h"

namespace pixelfleet::simulator {
namespace {

constexpr int kMaxIdleWakes = 100'000;  // in a row, with nothing else going on
constexpr double kShortestNapSeconds = 0.001;

std::size_t at(int index) { return static_cast<std::size_t>(index); }

}  // namespace

RivalDriver::RivalDriver(World& world, Rival& rival)
    : world_(world), rival_(rival), bound_(at(world.machine().gpu_count())) {}

Result<RunRecord> RivalDriver::drive() {
  int idle_wakes = 0;
  while (!world_.all_ended()) {
    const auto happening = world_.next();
    const bool is_timer = happening && std::holds_alternative<TimerRang>(*happening);
    if (!happening || idle_wakes > kMaxIdleWakes) {
      return fail(ErrorCode::internal,
                  format("at {:.3f} s the policy leaves {} jobs behind for ever", now_s(), world_.unfinished_jobs()));
    }
    if (is_timer && wakes_at_s_ && *wakes_at_s_ <= now_s()) wakes_at_s_.reset();
    std::visit([this](const auto& event) { on(event); }, *happening);
    const Answer answer = ask();
    idle_wakes = is_timer && answer == Answer::none ? idle_wakes + 1 : 0;
  }
  RunRecord record = world_.take_record();
  decisions_.put_into(record);
  return record;
}

RivalDriver::Answer RivalDriver::ask() {
  Answer answer = Answer::none;
  while (true) {
    const bool counts = can_decide();
    const auto begun = DecisionTimes::Clock::now();
    const auto order = rival_.next(*this);
    if (counts) decisions_.add(begun, DecisionTimes::Clock::now());
    if (!order) break;
    std::visit([this](const auto& of_a_kind) { carry_out(of_a_kind); }, *order);
    answer = Answer::orders;
  }
  keep_wish();
  return answer;
}

void RivalDriver::keep_wish() {
  const auto wish = rival_.wake_at_s(*this);
  if (!wish) return;
  const double at_s = std::max(*wish, now_s() + kShortestNapSeconds);
  if (wakes_at_s_ && *wakes_at_s_ <= at_s) return;
  wakes_at_s_ = at_s;
  world_.ring(at_s, 0);
}

bool RivalDriver::can_decide() const {
  if (waiting_.empty()) return false;
  for (int gpu = 0; gpu < gpu_count(); ++gpu) {
    if (is_idle(gpu)) return true;
  }
  return false;
}

void RivalDriver::wait(int job) { waiting_.insert(std::lower_bound(waiting_.begin(), waiting_.end(), job), job); }

void RivalDriver::carry_out(const RunJob& order) {
  const auto found = std::lower_bound(waiting_.begin(), waiting_.end(), order.job);
  CHECK(found != waiting_.end() && *found == order.job);
  CHECK(is_idle(order.gpu) && fits(job(order.job).model, order.gpu));
  waiting_.erase(found);
  if (world_.holds(order.gpu, job(order.job).model)) {
    world_.run(order.gpu, order.job, job(order.job).images, 0);
    return;
  }
  bound_[at(order.gpu)] = order.job;
  load(order.gpu, job(order.job).model);
}

void RivalDriver::carry_out(const LoadModel& order) {
  CHECK(is_idle(order.gpu) && fits(order.model, order.gpu) && !world_.holds(order.gpu, order.model));
  load(order.gpu, order.model);
}

void RivalDriver::load(int gpu, int model) {
  while (!world_.has_room(gpu, model)) world_.evict(gpu, world_.residents(gpu).front());
  world_.load(gpu, model);
}

void RivalDriver::on(const LoadEnded& event) {
  world_.shrink_host();
  if (const auto job_of_load = std::exchange(bound_[at(event.gpu)], std::nullopt)) {
    world_.run(event.gpu, *job_of_load, job(*job_of_load).images, 0);
  }
}

void RivalDriver::on(const RunEnded& event) {
  if (event.outcome == RunOutcome::out_of_memory) wait(event.job);
}

void RivalDriver::on(const GpuFailed& event) {
  if (event.interrupted_job) wait(*event.interrupted_job);
  if (const auto job_of_load = std::exchange(bound_[at(event.gpu)], std::nullopt)) wait(*job_of_load);
}

double RivalDriver::predicted_free_s(int gpu) const {
  const double free_s = world_.predicted_free_s(gpu);
  const auto bound = bound_[at(gpu)];
  return bound ? free_s + run_seconds(*bound, gpu) : free_s;
}

double RivalDriver::weight_bytes(int model) const {
  return world_.machine().weight_bytes(model) + world_.machine().worker_overhead_bytes();
}

double RivalDriver::bytes_needed(int model) const {
  return weight_bytes(model) + world_.machine().workspace_bytes(model);
}

double RivalDriver::run_seconds(int job_index, int gpu) const {
  return world_.machine().run_seconds(job(job_index), gpu);
}

}  // namespace pixelfleet::simulator
