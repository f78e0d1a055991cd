// What health is told (past tense) and what it orders (imperative).
//
// Plain data, as in scheduler/events.h: a history can be stored and replayed. The durable memory of a gpu is its last
// GpuRecord; the rows of StateChanged in order are its history for people.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "domain/ids.h"

namespace pixelfleet::health {

enum class State {
  healthy,
  suspect,      // gets work, but something failed on it within the last ten minutes
  draining,     // gets no work; what runs may finish while its steps move
  quarantined,  // gets no work until its back-off is over and a canary has lived
  probation,    // gets work, but nobody's last attempt
  failed,       // needs a reset, a reboot, its return or the operator
  stuck,        // a worker on it cannot be ended: no second one is started
};

// Why a state is what it is; `name` is the code in the store, the API and the page.
enum class Reason {
  fault,            // healthy -> suspect
  faults_expired,   // ten minutes without another one
  exonerated,       // the faults were a job's or a model's
  failed_two_jobs,  // within ten minutes
  faults_of_three,  // Xids of the restart_app class during three different jobs within ten minutes
  failed_on_probation,
  drained,  // what ran has ended
  canary_failed,
  canary_unanswered,
  canary_passed,
  probation_passed,
  lost,
  reset_needed,
  reboot_needed,
  seen_clean,    // back after a loss, a reset or a reboot
  no_other_gpu,  // none gets work any more: the back-off ends at once
  unreapable,
  reaped,
  operator_drained,
  operator_retired,
  operator_resumed,
};

enum class Hold { none, drained, retired };  // the operator's
enum class Hardware { sound, lost, reset_needed, reboot_needed };
enum class Workers { reapable, unreapable };

// --- events ---------------------------------------------------------------------------------------------------

// What the driver says has to be done with a gpu; unknown: an older driver that cannot say.
enum class RecoveryAction { unknown, none, reset, reboot, drain_peers, drain_and_reset };
// How the telemetry's calls about one gpu ended. unavailable says nothing about the gpu.
enum class Telemetry { ok, gpu_lost, reset_required, unavailable };

struct GpuSeen {  // each sample; the first one makes the gpu known
  GpuUuid gpu;
  RecoveryAction recovery = RecoveryAction::unknown;
  Telemetry telemetry = Telemetry::ok;
};
struct GpuLost {  // missing in a complete list
  GpuUuid gpu;
};
struct MachineBooted {};  // since the last time the server ran
struct XidReported {
  GpuUuid gpu;
  int number = 0;
};
struct Throttled {  // for heat or power: not a fault
  GpuUuid gpu;
  std::string why;
};

struct ChunkStarted {
  GpuUuid gpu;
  JobId job;
  ModelKey model;
};
struct StepMade {  // the step counter of what runs on it moved
  GpuUuid gpu;
};
struct ChunkDone {  // with good pictures
  GpuUuid gpu;
  JobId job;
  ModelKey model;
};
struct ChunkDropped {  // cancelled or given up, nobody's fault
  GpuUuid gpu;
};

enum class Phase { loading, running };
enum class Exit {
  bad_request,
  out_of_memory,  // of the gpu or of the host
  model_load,     // the files are not what the engine expects
  sticky_device,  // an error after which every call of the process fails
  invalid_output,
  protocol,
  crash,
  hung,        // ended because its steps stood still
  unreapable,  // ... and it did not end
};
struct WorkerFailed {
  GpuUuid gpu;
  std::optional<JobId> job;  // that it made or was started for
  ModelKey model;
  Phase phase = Phase::running;
  Exit exit = Exit::crash;
  std::vector<std::string> evidence;  // how it ended, the end of its log
};
struct WorkersReaped {  // no process that cannot be ended is left on it
  GpuUuid gpu;
};

enum class Canary { passed, failed, not_run };  // not_run: others use the gpu, no model is there; asked again
struct CanaryEnded {                            // its worker's end is told by this alone
  GpuUuid gpu;
  Canary result = Canary::passed;
  std::vector<std::string> evidence;
};

struct OperatorDrained {
  GpuUuid gpu;
};
struct OperatorRetired {
  GpuUuid gpu;
};
struct OperatorResumed {
  GpuUuid gpu;
};
struct ModelWorked {  // before a restart, with the files it has now; a ChunkDone says the same
  GpuUuid gpu;
  ModelKey model;
};
struct ModelReplaced {  // other files, or the operator enabled it again
  ModelKey model;
};
struct JobForgotten {  // it ended: nothing more is to be known of it
  JobId job;
};
struct TimerFired {};

using Event = std::variant<GpuSeen, GpuLost, MachineBooted, XidReported, Throttled, ChunkStarted, StepMade, ChunkDone,
                           ChunkDropped, WorkerFailed, WorkersReaped, CanaryEnded, OperatorDrained, OperatorRetired,
                           OperatorResumed, ModelWorked, ModelReplaced, JobForgotten, TimerFired>;

// --- actions --------------------------------------------------------------------------------------------------

// All of a gpu that a restart must not forget. `job` and `model` were at hand at its last fault.
struct GpuRecord {
  GpuUuid gpu;
  State state = State::healthy;
  Reason reason = Reason::fault;
  Instant since = {};
  std::optional<Instant> until = {};  // of the back-off
  int back_off_level = 0;             // quarantines so far: how long the next one is
  Hold hold = Hold::none;
  Hardware hardware = Hardware::sound;
  Workers workers = Workers::reapable;
  std::optional<JobId> job = {};
  ModelKey model = {};

  friend bool operator==(const GpuRecord&, const GpuRecord&) = default;
};

struct StateChanged {  // from == record.state: only what lies behind it changed
  State from = State::healthy;
  GpuRecord record;
  std::vector<std::string> evidence;
};
enum class Running { finish, abandon };
struct StopWork {  // give the gpu nothing new; its chunk may finish, or its workers are ended
  GpuUuid gpu;
  Running running = Running::finish;
};
enum class Trust { full, probation };  // probation: not a job's last attempt
struct GiveWork {
  GpuUuid gpu;
  Trust trust = Trust::full;
};
struct RunCanary {  // answered by CanaryEnded
  GpuUuid gpu;
};
struct BlameJob {  // how often it may be tried is not for health to say
  JobId job;
  std::string why;
  std::vector<std::string> evidence;
};
struct DisableModel {  // its jobs wait, they do not fail
  ModelKey model;
  std::string why;
  std::vector<std::string> evidence;
};
// Many gpus leave for the same reason at the same time: what is common to them is to blame.
enum class FaultClass { device, crash, hung, invalid_output, protocol, lost, reset, reboot };
enum class Suspect { driver, model, disk };
struct RaiseAlarm {
  FaultClass fault = FaultClass::device;
  Suspect suspect = Suspect::driver;
  std::vector<GpuUuid> gpus;
};
struct ClearAlarm {
  FaultClass fault = FaultClass::device;
};
struct RefuseOrder {  // the operator's
  GpuUuid gpu;
  std::string why;
};
struct WakeAt {
  Instant at;
};  // replaces an earlier wish

using Action = std::variant<StateChanged, StopWork, GiveWork, RunCanary, BlameJob, DisableModel, RaiseAlarm, ClearAlarm,
                            RefuseOrder, WakeAt>;

bool takes_work(State state);

std::string_view name(State state);
std::string_view name(Reason reason);
std::string_view name(Exit exit);
std::string_view name(FaultClass fault);
std::string_view name(Suspect suspect);
std::string_view name(Hold hold);
std::string_view name(Hardware hardware);
std::string_view name(Workers workers);
std::optional<State> state_from(std::string_view text);
std::optional<Reason> reason_from(std::string_view text);
std::optional<Hold> hold_from(std::string_view text);
std::optional<Hardware> hardware_from(std::string_view text);
std::optional<Workers> workers_from(std::string_view text);

}  // namespace pixelfleet::health
