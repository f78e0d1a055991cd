// Gpu: a device that can run chunks, and what is known of its condition now.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "domain/gpu_detail.h"
#include "domain/ids.h"

namespace pixelfleet {

enum class GpuKind { nvidia, amd, cpu, virtual_gpu };

// Identity and size: what the scheduler decides with. `memory_total_bytes` is what workers may use in sum.
struct Gpu {
  GpuUuid uuid;
  int index = 0;
  std::string name;
  GpuKind kind = GpuKind::nvidia;
  std::int64_t memory_total_bytes = 0;

  friend bool operator==(const Gpu&, const Gpu&) = default;
};

// One reading of the monitor; an absent value is unknown, never 0.
struct GpuSample {
  GpuUuid uuid;
  std::optional<std::int64_t> memory_used_bytes;
  std::optional<std::int64_t> memory_free_bytes;
  std::optional<double> utilization_ratio;
  std::optional<double> temperature_celsius;
  std::optional<double> power_watts;
  GpuDetail detail;  // of NVIDIA gpus

  friend bool operator==(const GpuSample&, const GpuSample&) = default;
};

// unused: detected, but outside the multi-GPU selection. closed: takes no work for now; its health or sharing says why.
enum class GpuState { idle, loading, busy, draining, offline, unused, closed };

// What became of it by its faults and by the operator: words of src/health.
struct GpuHealth {
  std::string state = "healthy";
  std::string reason;            // of the last change; empty: there was none
  std::optional<Instant> since;  // of the state
  std::optional<Instant> until;  // of its back-off: then it is tried again
  std::vector<std::string> evidence;

  friend bool operator==(const GpuHealth&, const GpuHealth&) = default;
};

// What others do on it, and whether that lets us work there: words of src/sharing.
struct GpuSharing {
  struct Reason {
    std::string kind;
    std::optional<std::int64_t> pid = {};  // of the largest process of others
    std::string name = {};                 // likewise; empty when unknown
    std::optional<std::int64_t> bytes = {};
    std::optional<double> utilization_ratio = {};
    std::optional<double> celsius = {};
    std::optional<double> ceiling_celsius = {};
    std::optional<Instant> until = {};

    friend bool operator==(const Reason&, const Reason&) = default;
  };
  std::string share = "always";
  std::string verdict = "open";
  std::vector<Reason> reasons;
  std::optional<Instant> since;
  enum class Override { no, yes } overridden = Override::no;
  std::optional<Instant> override_until;

  friend bool operator==(const GpuSharing&, const GpuSharing&) = default;
};

// Absent values are unknown.
struct GpuMemoryAccount {
  std::optional<std::int64_t> plan_bytes;      // that our workers may hold in sum
  std::optional<std::int64_t> others_bytes;    // not ours
  std::optional<std::int64_t> believed_bytes;  // the most that ours will hold
  std::optional<std::int64_t> discrepancy_bytes;

  friend bool operator==(const GpuMemoryAccount&, const GpuMemoryAccount&) = default;
};

// One row of `pixelfleet gpus --json` and of /api/v1/gpus.
struct GpuStatus {
  Gpu gpu;
  GpuSample sample;
  GpuHealth health;
  GpuSharing sharing;
  GpuMemoryAccount memory;
  GpuState state = GpuState::idle;
  std::vector<ModelKey> resident_models;
  std::optional<ModelKey> loading_model;  // also while it is busy: loaded beside the run
  std::optional<JobId> job;

  friend bool operator==(const GpuStatus&, const GpuStatus&) = default;
};

// Whether a person who writes this means the gpu: its number, its UUID, or the beginning of that (8 characters at
// least, as CUDA_VISIBLE_DEVICES has them).
bool is_called(const Gpu& gpu, std::string_view text);

std::string_view name(GpuKind kind);
std::string_view name(GpuState state);
std::optional<GpuKind> gpu_kind_from(std::string_view text);

}  // namespace pixelfleet
