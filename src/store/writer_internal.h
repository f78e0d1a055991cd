// Writer: applies the control loop's changes, all or none, and answers its two questions about names.
//
// Owned by the control thread. Everything goes through one connection in BEGIN IMMEDIATE ... COMMIT.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "control/ports.h"
#include "store/connection_internal.h"

namespace pixelfleet::store {

class Writer {
 public:
  Writer(std::unique_ptr<Connection> connection, std::int64_t events_kept)
      : connection_(std::move(connection)), events_kept_(events_kept) {}

  // Durable when it returns without an error; with one, nothing of it is there. One exception that no database can
  // spare us: after a failed sync a crash may bring the refused changes back, whole.
  Result<> commit(std::span<const control::Change> changes);
  bool run_directory_taken(const std::string& directory);

  // Attempts that were running when the last server died can never report: they are closed as lost.
  Result<> close_attempts();
  // Moves what the write-ahead log holds into the database file and gives the log's space back.
  Result<> checkpoint() { return connection_->execute("PRAGMA wal_checkpoint(TRUNCATE)"); }

  Connection& connection() { return *connection_; }

 private:
  Result<> apply(const control::InsertRun& change);
  Result<> apply(const control::InsertJob& change);
  Result<> apply(const control::UpdateJob& change);
  Result<> apply(const control::UpdateJobOrder& change);
  Result<> apply(const control::InsertChunk& change);
  Result<> apply(const control::FinishChunk& change);
  Result<> apply(const control::PublishImage& change);
  Result<> apply(const control::PutSettings& change);
  Result<> apply(const control::PutPauses& change);
  Result<> apply(const control::PutCost& change);
  Result<> apply(const control::AppendGpuState& change);
  Result<> apply(const control::PutDisabledModel& change);
  Result<> apply(const control::DropDisabledModel& change);
  Result<> apply(const control::InsertUpload& change);
  Result<> apply(const control::AppendEvent& change);
  Result<> apply_all(std::span<const control::Change> changes);
  Result<> prune_events(std::int64_t newest, std::int64_t appended);
  Result<> one_row(Result<std::int64_t> changed, std::string_view what, std::int64_t id) const;
  Result<> finish(Query query);

  const std::unique_ptr<Connection> connection_;
  const std::int64_t events_kept_;
};

}  // namespace pixelfleet::store
