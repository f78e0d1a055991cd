// The tables, as numbered migrations: what user_version N means is written once and never edited afterwards.
//
// Each migration runs in one transaction together with its user_version, so a crash leaves the file at one version or
// the next. A file of a newer program is refused untouched.
#pragma once

#include <span>

#include "base/result.h"
#include "store/connection_internal.h"

namespace pixelfleet::store {

struct Migration {
  int version;  // 1, 2, 3 ... without gaps
  const char* sql;
};

std::span<const Migration> migrations();

// Marks the file as ours ("PxFl"), so that another program's database is not taken for an empty one.
inline constexpr int kApplicationId = 0x5078466C;

// Refuses, without a write, a database of another program and one that a newer version of this program wrote.
Result<> check_origin(Connection& connection, const std::filesystem::path& file,
                      std::span<const Migration> all = migrations());

// Brings the file to the newest version. Nothing to do when it has it already.
Result<> migrate(Connection& connection, std::span<const Migration> all = migrations());

}  // namespace pixelfleet::store
