// The live picture as JSON: everything a page shows, and the parts that single routes serve.
//
// Blocks on the store: call on the pool. The snapshot holds at least the events up to its seq; rows may already be
// newer, and applying the later events to them again changes nothing in the end.
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "control/ports.h"
#include "http/context.h"

namespace pixelfleet::http {

// More active jobs than these are counted, not listed: newest waiting ones first, and every running one.
inline constexpr std::size_t kSnapshotRunning = 200;
inline constexpr std::size_t kSnapshotWaiting = 500;
inline constexpr std::size_t kSnapshotEnded = 50;
inline constexpr std::size_t kSnapshotImages = 60;

Result<Json> build_snapshot(const Context& context);

// With `progress`, `reason` and `predicted_start` from the live state: null when it does not run or wait.
Json job_json(const Job& job, const LiveState& live);
Json gpus_json(const LiveState& live);       // [Gpu]
Json alarms_json(const LiveState& live);     // [Alarm]
Json models_json(const Catalog& catalog);    // [Model]
Json profiles_json(const Catalog& catalog);  // [Profile]
Json default_model_json(const Catalog& catalog);

}  // namespace pixelfleet::http
