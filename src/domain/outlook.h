// Outlook: why a job waits, and when it will probably start. Computed again and again, never stored.
//
// A reason is data first: `kind` and what belongs to it. to_english() is the only place that makes sentences of it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "domain/gpu.h"
#include "domain/ids.h"
#include "domain/job.h"

namespace pixelfleet {

struct WaitingReason {
  enum class Kind {
    runs_next,           // on gpu, in ready_in_s
    waits_for_gpu,       // all that it may use are busy; the first one, gpu, in ready_in_s; then it loads for load_s
    waits_for_warm_gpu,  // gpu holds its model, ready in ready_in_s; elsewhere the load would take load_s
    model_loading,       // on gpu, in ready_in_s
    model_staging,       // into host memory, in ready_in_s
    behind_jobs,         // jobs_ahead, of these own_jobs_ahead of the same owner
    behind_moved_job,    // other
    strict_order,        // one gpu, in order: jobs_ahead
    gpu_keeps_models,    // gpu stays with pushes_out, for which jobs_waiting wait
    backing_off,         // its worker died on gpu; the next try in ready_in_s
    no_gpu_fits,         // needed_bytes, largest_bytes
    gpu_closed,          // gpu could take it, but gets no work for now: its health or sharing says why
    held,                // held
  } kind = Kind::behind_jobs;

  struct GpuName {
    GpuUuid uuid;
    int index = 0;

    friend bool operator==(const GpuName&, const GpuName&) = default;
  };
  std::optional<GpuName> gpu = {};
  ModelKey model = {};  // the job's
  std::optional<double> ready_in_s = {};
  std::optional<double> load_s = {};
  std::vector<ModelKey> pushes_out = {};  // by that load
  int jobs_waiting = 0;                   // for those
  int jobs_ahead = 0;
  int own_jobs_ahead = 0;
  std::optional<JobId> other = {};
  std::optional<HeldReason> held = {};
  std::int64_t needed_bytes = 0;
  std::int64_t largest_bytes = 0;  // of the gpus in use; 0: none is in use

  friend bool operator==(const WaitingReason&, const WaitingReason&) = default;
};

// Four of five jobs start within it. Absent latest: later than could be foreseen.
struct StartInterval {
  Instant earliest;
  std::optional<Instant> latest;

  friend bool operator==(const StartInterval&, const StartInterval&) = default;
};

struct JobOutlook {
  WaitingReason reason;
  std::optional<StartInterval> start = {};

  friend bool operator==(const JobOutlook&, const JobOutlook&) = default;
};

std::string_view name(WaitingReason::Kind kind);
std::string to_english(const WaitingReason& reason);

Json to_json(const WaitingReason& reason);  // kind, what belongs to it, and text
Json to_json(const StartInterval& start);   // earliest_ms, latest_ms

}  // namespace pixelfleet
