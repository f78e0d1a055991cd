#include "health/events.h"

namespace pixelfleet::health {
namespace {

template <class Enum>
std::optional<Enum> from_name(std::string_view text, Enum last) {
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (text == name(static_cast<Enum>(i))) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

bool takes_work(State state) { return state == State::healthy || state == State::suspect || state == State::probation; }

std::string_view name(State state) {
  switch (state) {
    case State::healthy: return "healthy";
    case State::suspect: return "suspect";
    case State::draining: return "draining";
    case State::quarantined: return "quarantined";
    case State::probation: return "probation";
    case State::failed: return "failed";
    case State::stuck: return "stuck";
  }
  return "healthy";
}

std::string_view name(Reason reason) {
  switch (reason) {
    case Reason::fault: return "fault";
    case Reason::faults_expired: return "faults_expired";
    case Reason::exonerated: return "exonerated";
    case Reason::failed_two_jobs: return "failed_two_jobs";
    case Reason::faults_of_three: return "faults_of_three";
    case Reason::failed_on_probation: return "failed_on_probation";
    case Reason::drained: return "drained";
    case Reason::canary_failed: return "canary_failed";
    case Reason::canary_unanswered: return "canary_unanswered";
    case Reason::canary_passed: return "canary_passed";
    case Reason::probation_passed: return "probation_passed";
    case Reason::lost: return "lost";
    case Reason::reset_needed: return "reset_needed";
    case Reason::reboot_needed: return "reboot_needed";
    case Reason::seen_clean: return "seen_clean";
    case Reason::no_other_gpu: return "no_other_gpu";
    case Reason::unreapable: return "unreapable";
    case Reason::reaped: return "reaped";
    case Reason::operator_drained: return "operator_drained";
    case Reason::operator_retired: return "operator_retired";
    case Reason::operator_resumed: return "operator_resumed";
  }
  return "fault";
}

std::string_view name(Exit exit) {
  switch (exit) {
    case Exit::bad_request: return "bad_request";
    case Exit::out_of_memory: return "out_of_memory";
    case Exit::model_load: return "model_load";
    case Exit::sticky_device: return "sticky_device";
    case Exit::invalid_output: return "invalid_output";
    case Exit::protocol: return "protocol";
    case Exit::crash: return "crash";
    case Exit::hung: return "hung";
    case Exit::unreapable: return "unreapable";
  }
  return "crash";
}

std::string_view name(FaultClass fault) {
  switch (fault) {
    case FaultClass::device: return "device";
    case FaultClass::crash: return "crash";
    case FaultClass::hung: return "hung";
    case FaultClass::invalid_output: return "invalid_output";
    case FaultClass::protocol: return "protocol";
    case FaultClass::lost: return "lost";
    case FaultClass::reset: return "reset";
    case FaultClass::reboot: return "reboot";
  }
  return "device";
}

std::string_view name(Suspect suspect) {
  switch (suspect) {
    case Suspect::driver: return "driver";
    case Suspect::model: return "model";
    case Suspect::disk: return "disk";
  }
  return "driver";
}

std::string_view name(Hold hold) {
  switch (hold) {
    case Hold::none: return "none";
    case Hold::drained: return "drained";
    case Hold::retired: return "retired";
  }
  return "none";
}

std::string_view name(Hardware hardware) {
  switch (hardware) {
    case Hardware::sound: return "sound";
    case Hardware::lost: return "lost";
    case Hardware::reset_needed: return "reset_needed";
    case Hardware::reboot_needed: return "reboot_needed";
  }
  return "sound";
}

std::string_view name(Workers workers) { return workers == Workers::reapable ? "reapable" : "unreapable"; }

std::optional<State> state_from(std::string_view text) { return from_name(text, State::stuck); }
std::optional<Reason> reason_from(std::string_view text) { return from_name(text, Reason::operator_resumed); }
std::optional<Hold> hold_from(std::string_view text) { return from_name(text, Hold::retired); }
std::optional<Hardware> hardware_from(std::string_view text) { return from_name(text, Hardware::reboot_needed); }
std::optional<Workers> workers_from(std::string_view text) { return from_name(text, Workers::unreapable); }

}  // namespace pixelfleet::health
