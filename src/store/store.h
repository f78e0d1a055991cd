// Store: the durable queue, its images, events and settings, in one SQLite file of the data directory.
//
// One write connection, owned by the control thread (StorePort); a pool of read connections for everybody (Reader,
// thread-safe). Write-ahead log with synchronous=FULL: what commit() accepted survives a power cut on an honest disk.
// The caller holds the directory's DataLock: two servers on one file would each believe that they own the queue.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "control/ports.h"

namespace pixelfleet::store {

struct Options {
  std::size_t readers_max = 4;
  std::int64_t events_kept = 100'000;       // older ones are dropped, a few with each commit
  std::int64_t ballast_bytes = 8 << 20;     // room that is given back to a full disk; 0: none
  std::int64_t check_bytes_max = 32 << 20;  // files up to this size are checked page by page at open
  std::string vfs;                          // SQLite's operating-system layer; empty: its default
};

// Where the queue lies inside a data directory.
std::filesystem::path database_file(const std::filesystem::path& data_directory);

class Store final : public control::StorePort, public control::Reader {
 public:
  // Creates directory and file, migrates an older file, refuses a newer, a foreign or a damaged one.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& data_directory, Options options = {});
  ~Store() override;

  // --- control thread only
  Result<control::Restored> restore() override;
  Result<> commit(std::span<const control::Change> changes) override;
  Result<control::JobRows> load_job(JobId id) override;
  Result<control::Upload> load_upload(UploadId id) override;
  bool run_directory_taken(const std::string& directory) override;

  // --- any thread
  Result<std::vector<Job>> jobs(const control::JobQuery& query) override;
  Result<Job> job(JobId id) override;
  Result<std::vector<Image>> images_of(JobId id) override;
  Result<std::vector<Image>> images(const control::ImageQuery& query) override;
  Result<Image> image(ImageId id) override;
  Result<control::Upload> upload(UploadId id) override;
  Result<std::vector<control::GpuStateRow>> gpu_history(const GpuUuid& gpu, std::size_t limit) override;
  Result<std::vector<EventPtr>> events(std::int64_t after, std::size_t limit) override;

 private:
  struct Parts;
  explicit Store(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace pixelfleet::store
