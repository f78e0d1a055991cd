// What health remembers between two events: plain values, changed only by a Turn.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "health/events.h"

namespace pixelfleet::health {

// Something that went wrong on a gpu, accused by the job or the model at hand. Several faults of one accuser are one:
// a worker's end and the Xid that came with it.
struct Fault {
  enum class Accuser { job, model };
  enum class Kind { xid, failure };

  Instant at = {};
  Accuser accuser = Accuser::job;
  JobId job = {};
  ModelKey model = {};
  Kind kind = Kind::failure;
  FaultClass fault = FaultClass::crash;
  Phase phase = Phase::running;

  bool same_accuser(const Fault& other) const {
    return accuser == other.accuser && (accuser == Accuser::job ? job == other.job : model == other.model);
  }
};

struct GpuMemory {
  GpuRecord told;  // as the world was told last; the durable part of the rest

  // From these the state follows (Turn::state_of).
  enum class Service { in, out, proving };  // out: waits for its back-off and its canary; proving: on probation
  Service service = Service::in;
  Hold hold = Hold::none;
  Hardware hardware = Hardware::sound;
  Workers workers = Workers::reapable;
  std::vector<Fault> faults;  // one per accuser; of the last ten minutes, or those that took it out

  std::optional<Instant> until;  // of the back-off, while out
  int back_off_level = 0;
  std::optional<Reason> verdict;  // why it is out, when that could turn out to be a job's or a model's fault

  // Whether a clean sample would show that somebody mended it: it was gone, or the driver had asked for a reset. After
  // a restart of the server only a driver that says so itself is believed.
  enum class Arrival { same, after_restart, fresh };
  Arrival arrival = Arrival::same;
  bool clean = false;  // the last sample

  std::optional<Instant> canary_since;     // it was asked for
  std::optional<Instant> canary_retry_at;  // it could not be run
  std::set<JobId> proven;                  // jobs that went well on probation

  std::optional<JobId> running;
  ModelKey running_model;
  std::optional<Instant> deadline;  // of a drain, while something runs
  std::optional<JobId> last_failed;
  Instant last_failed_at = {};

  enum class Permission { full, probation, finish, abandon };
  Permission permission = Permission::full;  // told last
  std::vector<std::string> notes;            // the latest that is no fault: throttling, Xids to be ignored
};

struct JobMemory {
  std::set<GpuUuid> failed_on;
  Instant last = {};
  std::vector<std::string> evidence;
  enum class Verdict { open, guilty } verdict = Verdict::open;
};

struct ModelMemory {
  struct Load {
    Instant at;
    GpuUuid gpu;
    std::string evidence;
  };
  std::vector<Load> failed_loads;
  std::set<GpuUuid> good_on;  // since its files are what they are
  enum class Verdict { open, disabled } verdict = Verdict::open;
};

struct Departure {  // or what would have been one
  Instant at;
  GpuUuid gpu;
  FaultClass fault;
  ModelKey model;
  Phase phase;
};

struct Memory {
  std::map<GpuUuid, GpuMemory> gpus;
  std::map<JobId, JobMemory> jobs;  // with failures that nothing explains yet
  std::map<ModelKey, ModelMemory> models;
  std::vector<Departure> departures;     // of the last five minutes, oldest first
  std::map<FaultClass, Instant> alarms;  // raised; when a gpu left last
  std::optional<Instant> wake_at;
};

}  // namespace pixelfleet::health
