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

// Whose jobs do not start for now. The pause of everybody and those of single owners are lifted apart.
struct Pauses {
  bool all = false;
  std::set<std::string> owners;

  friend bool operator==(const Pauses&, const Pauses&) = default;
};

struct LiveState {
  std::int64_t seq = 0;  // the last durable event this state contains
  std::vector<GpuStatus> gpus;
  Telemetry telemetry;
  JobCounts counts;
  Pauses pauses;
  std::map<JobId, JobProgress> progress;
};

using LiveStatePtr = std::shared_ptr<const LiveState>;

std::string_view name(Phase phase);
std::optional<Phase> phase_from(std::string_view text);

}  // namespace pixelfleet
