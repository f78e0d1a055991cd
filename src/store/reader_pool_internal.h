// ReaderPool: read connections, each lent to one thread at a time; and the questions they answer.
//
// Connections are opened when they are first needed. A question ends its read transaction before it returns.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "control/ports.h"
#include "store/connection_internal.h"

namespace pixelfleet::store {

class ReaderPool {
 public:
  ReaderPool(std::filesystem::path file, std::string vfs, std::size_t connections_max)
      : file_(std::move(file)), vfs_(std::move(vfs)), connections_max_(connections_max) {}

  // A connection that goes back when the lease goes.
  class Lease {
   public:
    Lease(ReaderPool& pool, std::unique_ptr<Connection> connection)
        : pool_(&pool), connection_(std::move(connection)) {}
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (connection_) pool_->give_back(std::move(connection_));
    }
    Connection& operator*() const { return *connection_; }

   private:
    ReaderPool* pool_;
    std::unique_ptr<Connection> connection_;
  };

  // Waits while all connections are lent.
  Result<Lease> take();

 private:
  void give_back(std::unique_ptr<Connection> connection);

  const std::filesystem::path file_;
  const std::string vfs_;
  const std::size_t connections_max_;

  Mutex mutex_;
  CondVar returned_;
  std::vector<std::unique_ptr<Connection>> idle_ GUARDED_BY(mutex_);
  std::size_t opened_ GUARDED_BY(mutex_) = 0;
};

Result<std::vector<Job>> find_jobs(Connection& connection, const control::JobQuery& query);
Result<Job> find_job(Connection& connection, JobId id);
Result<std::vector<Image>> find_images_of(Connection& connection, JobId id);
Result<std::vector<Image>> find_images(Connection& connection, const control::ImageQuery& query);
Result<Image> find_image(Connection& connection, ImageId id);
Result<control::Upload> find_upload(Connection& connection, UploadId id);
Result<std::vector<control::GpuStateRow>> find_gpu_history(Connection& connection, const GpuUuid& gpu,
                                                           std::size_t limit);
Result<std::vector<EventPtr>> find_events(Connection& connection, std::int64_t after, std::size_t limit);
// All of Restored but the open jobs.
Result<control::Restored> find_restored(Connection& connection);
// The jobs that have not ended, by id.
Result<std::vector<JobId>> find_open_ids(Connection& connection);
Result<control::JobRows> find_job_rows(Connection& connection, JobId id);
Result<std::vector<control::JobRows>> find_open_jobs(Connection& connection, std::span<const JobId> ids);

}  // namespace pixelfleet::store
