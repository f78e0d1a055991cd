#include "control/gpu_rows.h"

#include <algorithm>
#include <array>
#include <utility>

namespace pixelfleet::control {
namespace {

// Shown with each gpu, each second; the history has all of it.
constexpr std::size_t kMostShown = 8;

// NVML's codes.
constexpr int kGpuIsLost = 15;
constexpr int kResetRequired = 16;

health::RecoveryAction recovery_of(const std::optional<GpuRecovery>& recovery) {
  if (!recovery) return health::RecoveryAction::unknown;
  switch (*recovery) {
    case GpuRecovery::none: return health::RecoveryAction::none;
    case GpuRecovery::reset: return health::RecoveryAction::reset;
    case GpuRecovery::reboot: return health::RecoveryAction::reboot;
    case GpuRecovery::drain_p2p: return health::RecoveryAction::drain_peers;
    case GpuRecovery::drain_and_reset: return health::RecoveryAction::drain_and_reset;
  }
  return health::RecoveryAction::unknown;
}

health::Telemetry telemetry_of(const std::optional<int>& driver_code) {
  if (!driver_code) return health::Telemetry::ok;
  if (*driver_code == kGpuIsLost) return health::Telemetry::gpu_lost;
  return *driver_code == kResetRequired ? health::Telemetry::reset_required : health::Telemetry::unavailable;
}

}  // namespace

GpuStateRow row_of(const health::StateChanged& change, Instant at, const std::string& boot_id) {
  const health::GpuRecord& record = change.record;
  GpuStateRow row;
  row.gpu = record.gpu;
  row.at = at;
  row.from = name(change.from);
  row.state = name(record.state);
  row.reason = name(record.reason);
  row.since = record.since;
  row.until = record.until;
  row.back_off_level = record.back_off_level;
  row.hold = name(record.hold);
  row.hardware = name(record.hardware);
  row.workers = name(record.workers);
  row.job = record.job;
  row.model = record.model;
  row.evidence = change.evidence;
  row.boot_id = boot_id;
  return row;
}

std::optional<health::GpuRecord> record_of(const GpuStateRow& row) {
  const auto state = health::state_from(row.state);
  const auto reason = health::reason_from(row.reason);
  const auto hold = health::hold_from(row.hold);
  const auto hardware = health::hardware_from(row.hardware);
  const auto workers = health::workers_from(row.workers);
  if (!state || !reason || !hold || !hardware || !workers) return std::nullopt;
  return health::GpuRecord{row.gpu, *state,    *reason,  row.since, row.until, row.back_off_level,
                           *hold,   *hardware, *workers, row.job,   row.model};
}

GpuHealth shown(const GpuStateRow& row) {
  GpuHealth health{row.state, row.reason, row.since, row.until, row.evidence};
  if (health.evidence.size() > kMostShown) health.evidence.resize(kMostShown);
  return health;
}

GpuTerms::Verdict verdict_of(health::State state) {
  using enum health::State;
  switch (state) {
    case healthy:
    case suspect: return GpuTerms::Verdict::full;
    case probation: return GpuTerms::Verdict::probation;
    case draining:
    case quarantined: return GpuTerms::Verdict::finish;
    case failed:
    case stuck: return GpuTerms::Verdict::abandon;
  }
  return GpuTerms::Verdict::full;
}

std::optional<health::Exit> exit_of(const WorkerIsGone& gone) {
  static constexpr std::array<std::pair<std::string_view, health::Exit>, 9> kExits = {{
      {"bad_request", health::Exit::bad_request},
      {"out_of_memory", health::Exit::out_of_memory},
      {"killed", health::Exit::out_of_memory},  // most often the host's
      {"model_unreadable", health::Exit::model_load},
      {"device_error", health::Exit::sticky_device},
      {"invalid_output", health::Exit::invalid_output},
      {"protocol", health::Exit::protocol},
      {"engine_hung", health::Exit::hung},
      {"gpu_stuck", health::Exit::unreapable},
  }};
  const std::string& code = gone.failure.code;
  if (code == "cancelled" || code == "recycled") return std::nullopt;
  const auto known = std::find_if(kExits.begin(), kExits.end(), [&](const auto& entry) { return entry.first == code; });
  return known == kExits.end() ? health::Exit::crash : known->second;
}

health::GpuSeen seen_of(const GpuSample& sample) {
  return {sample.uuid, recovery_of(sample.detail.recovery_action), telemetry_of(sample.detail.driver_code)};
}

}  // namespace pixelfleet::control
