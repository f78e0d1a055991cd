// What was decided, kept until somebody takes it.
#include "scheduler/decision.h"

#include <algorithm>
#include <utility>

#include "scheduler/state.h"

namespace pixelfleet::scheduler {
namespace {

constexpr std::size_t kMostDecisions = 4096;  // that nobody took: older ones are dropped
constexpr std::size_t kMostOthers = 3;

Decision::Kind kind_of(Choice::Kind kind) {
  switch (kind) {
    case Choice::Kind::none: return Decision::Kind::wait;
    case Choice::Kind::run: return Decision::Kind::run;
    case Choice::Kind::load: return Decision::Kind::load;
    case Choice::Kind::load_behind: break;
  }
  return Decision::Kind::load_behind;
}

Decision::Why why_of(const Choice& choice) {
  if (choice.index >= kNever) return Decision::Why::overdue;
  switch (choice.kind) {
    case Choice::Kind::run: return Decision::Why::warm;
    case Choice::Kind::load: return Decision::Why::load_pays;
    case Choice::Kind::load_behind: return Decision::Why::beside_run;
    case Choice::Kind::none: break;
  }
  return Decision::Why::played_out;
}

bool same(const Choice& a, const Choice& b) { return a.kind == b.kind && a.gpu == b.gpu && a.job == b.job; }

}  // namespace

std::string_view name(Decision::Kind kind) {
  switch (kind) {
    case Decision::Kind::run: return "run";
    case Decision::Kind::load: return "load";
    case Decision::Kind::load_behind: return "load_behind";
    case Decision::Kind::wait: return "wait";
    case Decision::Kind::stage: return "stage";
    case Decision::Kind::unstage: break;
  }
  return "unstage";
}

std::string_view name(Decision::Why why) {
  switch (why) {
    case Decision::Why::warm: return "warm";
    case Decision::Why::load_pays: return "load_pays";
    case Decision::Why::beside_run: return "beside_run";
    case Decision::Why::overdue: return "overdue";
    case Decision::Why::played_out: return "played_out";
    case Decision::Why::in_order: return "in_order";
    case Decision::Why::wanted: return "wanted";
    case Decision::Why::room: break;
  }
  return "room";
}

Decision::Option Scheduler::State::option_of(const Choice& choice) const {
  Decision::Option option;
  option.kind = kind_of(choice.kind);
  if (choice.kind == Choice::Kind::none) return option;
  option.gpu = selected[static_cast<std::size_t>(choice.gpu)];
  option.model = planning.model_keys[static_cast<std::size_t>(choice.model)];
  option.job = choice.job;
  option.index = choice.index >= kNever ? 0.0 : choice.index;
  return option;
}

void Scheduler::State::note(Decision decision) {
  if (recording == Recording::off) return;
  decision.at = now;
  if (decisions.size() >= 2 * kMostDecisions) decisions.erase(decisions.begin(), decisions.end() - kMostDecisions);
  decisions.push_back(std::move(decision));
}

// `base` is what the rule alone would do, `choice` what is done. Waiting is a decision only where something else was
// possible.
void Scheduler::State::note_choice(const Choice& choice, const Choice& base, const std::vector<Choice>& others) {
  if (recording == Recording::off || base.kind == Choice::Kind::none) return;
  Decision decision;
  decision.taken = option_of(choice);
  if (choice.kind == Choice::Kind::none) decision.taken.gpu = option_of(base).gpu;
  decision.why = same(choice, base) ? why_of(choice) : Decision::Why::played_out;
  if (choice.kind == Choice::Kind::load || choice.kind == Choice::Kind::load_behind) {
    for (const int victim : eviction_for(planning.board, choice.gpu, choice.model).victims) {
      decision.pushes_out.push_back(planning.model_keys[static_cast<std::size_t>(victim)]);
    }
  }
  for (const Choice& other : others) {
    if (decision.others.size() == kMostOthers) break;
    if (!same(other, choice)) decision.others.push_back(option_of(other));
  }
  note(std::move(decision));
}

std::vector<Decision> Scheduler::take_decisions() { return std::exchange(state_->decisions, {}); }

void Scheduler::record_decisions() { state_->recording = State::Recording::on; }

}  // namespace pixelfleet::scheduler
