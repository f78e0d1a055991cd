// LiveSettings: the settings a page may change while the server runs; durable, flat keys.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "domain/ids.h"

namespace pixelfleet {

enum class PolicyChoice { amp, v18, fifo };
enum class ObjectiveChoice { latency, throughput };
enum class LoadBeside { automatic, off };

// What differs on one gpu from what holds for all: texts as they are written; empty: it does not.
struct GpuSharingSettings {
  std::string share;
  std::string temperature_ceiling;
  std::string quiet_hours;

  friend bool operator==(const GpuSharingSettings&, const GpuSharingSettings&) = default;
};

struct LiveSettings {
  bool multi_gpu_enabled = false;        // multi_gpu.enabled
  int multi_gpu_max_gpus = 4;            // multi_gpu.max_gpus, 1-8
  std::set<std::string> multi_gpu_list;  // multi_gpu.gpus: only these, as is_called() knows them; empty: the first ones
  std::string multi_gpu_single;  // multi_gpu.single_gpu: UUID used while multi-GPU is off; empty: most free memory

  // How gpus are shared with others. The texts are read by src/sharing.
  std::string share = "auto";                          // sharing.share: auto, polite, idle_only, always
  std::int64_t quiet_seconds = 60;                     // sharing.quiet_seconds
  std::string temperature_ceiling = "auto";            // sharing.temperature_ceiling: auto, off, degrees Celsius
  std::map<GpuUuid, GpuSharingSettings> sharing_gpus;  // sharing.gpus

  // How jobs are distributed while multi-GPU is on.
  PolicyChoice policy = PolicyChoice::amp;               // scheduler.policy
  ObjectiveChoice objective = ObjectiveChoice::latency;  // scheduler.objective
  LoadBeside load_beside_run = LoadBeside::automatic;    // scheduler.load_beside_run: auto: where the engine can
  std::optional<std::int64_t> worker_overhead_bytes;     // worker_overhead_bytes; absent (auto): by kind of gpu

  std::set<ModelKey> pinned_models;  // models.pinned: never evicted for another model, nor unloaded when idle
  // How long a model may stay unused before it leaves a gpu, and its files host memory; 0: for ever.
  std::int64_t idle_gpu_seconds = 0;   // idle_unload.gpu_seconds
  std::int64_t idle_host_seconds = 0;  // idle_unload.host_seconds
  // host_memory.limit: bytes that staged model files may take; 0: no staging; absent (auto): half of what is available.
  std::optional<std::int64_t> host_memory_limit_bytes;

  friend bool operator==(const LiveSettings&, const LiveSettings&) = default;
};

inline constexpr int kMaxMultiGpus = 8;

std::string_view name(PolicyChoice policy);
std::string_view name(ObjectiveChoice objective);
std::string_view name(LoadBeside load_beside_run);

Json to_json(const LiveSettings& settings);

// Merges flat keys into `settings`; all or nothing. Unknown keys name the near one.
Result<LiveSettings> merge_settings(const LiveSettings& settings, const Json& changes);

}  // namespace pixelfleet
