// LiveState: what runs now, as the control loop publishes it; immutable, shared by every reader.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "domain/gpu.h"
#include "domain/ids.h"
#include "domain/job.h"
#include "domain/outlook.h"

namespace pixelfleet {

enum class Phase { load, text, sample, decode };

struct JobProgress {
  GpuUuid gpu;
  int image_index = 0;
  Phase phase = Phase::load;
  int step = 0;
  int steps = 0;
  double ratio = 0.0;  // of the whole job, 0..1

  friend bool operator==(const JobProgress&, const JobProgress&) = default;
};

struct JobCounts {
  std::int64_t queued = 0, held = 0, running = 0, done = 0, failed = 0, cancelled = 0;

  friend bool operator==(const JobCounts&, const JobCounts&) = default;
};

struct Telemetry {
  bool available = true;
  std::string reason;  // why not, and what to do

  friend bool operator==(const Telemetry&, const Telemetry&) = default;
};

// Many gpus leave at about the same time for one kind of fault: what they have in common is to blame.
struct Alarm {
  std::string fault;    // words of src/health: device, crash, hung, lost ...
  std::string suspect;  // driver, model, disk
  std::vector<GpuUuid> gpus;
  Instant since;

  friend bool operator==(const Alarm&, const Alarm&) = default;
};

// Whose jobs do not start for now. The pause of everybody and those of single owners are lifted apart.
struct Pauses {
  bool all = false;
  std::set<std::string> owners;

  friend bool operator==(const Pauses&, const Pauses&) = default;
};

// Model files kept in host memory.
struct HostMemory {
  std::int64_t limit_bytes = 0;  // 0: off
  std::int64_t used_bytes = 0;
  std::optional<ModelKey> staging;  // being read in
  std::vector<ModelKey> staged;
  std::optional<double> disk_bytes_per_second;  // as measured

  friend bool operator==(const HostMemory&, const HostMemory&) = default;
};

// How far predictions were off lately: the mean of |ln(measured / predicted)|, absent before the first.
struct PredictionError {
  std::optional<double> load;
  std::optional<double> run;

  friend bool operator==(const PredictionError&, const PredictionError&) = default;
};
// Of the jobs that wait, as of one moment. Where many do, only the first ones in order are in it.
struct Outlooks {
  std::map<JobId, JobOutlook> jobs;
  std::vector<JobId> soonest_first;
  bool complete = true;
};
using OutlooksPtr = std::shared_ptr<const Outlooks>;

struct LiveState {
  std::int64_t seq = 0;  // the last durable event this state contains
  std::vector<GpuStatus> gpus;
  Telemetry telemetry;
  std::vector<Alarm> alarms;
  JobCounts counts;
  Pauses pauses;
  HostMemory host_memory;
  PredictionError prediction_error;
  std::map<JobId, JobProgress> progress;
  OutlooksPtr outlooks;  // null before the first
};

using LiveStatePtr = std::shared_ptr<const LiveState>;

// Nothing: it does not wait, or nobody has looked yet.
std::optional<JobOutlook> outlook_of(const Job& job, const LiveState& live);

std::string_view name(Phase phase);
std::optional<Phase> phase_from(std::string_view text);

}  // namespace pixelfleet
