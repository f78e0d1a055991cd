#include "store/store.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <system_error>
#include <thread>
#include <utility>

#include "base/format.h"
#include "base/log.h"
#include "store/ballast_internal.h"
#include "store/reader_pool_internal.h"
#include "store/schema_internal.h"
#include "store/writer_internal.h"

namespace pixelfleet::store {
namespace {

constexpr std::size_t kRestoreThreads = 4;
constexpr std::size_t kJobsPerThread = 500;  // below it a thread costs more than it saves

// Set for each connection that writes. The log is cut back to the limit after a checkpoint that could reuse it.
constexpr const char* kWriterPragmas =
    "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864; "
    "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -16384;";

// SQLite would say only that it cannot open a file there.
Result<> make_directory(const std::filesystem::path& directory) {
  std::error_code code;
  std::filesystem::create_directories(directory, code);
  if (!code && ::access(directory.c_str(), W_OK | X_OK) == 0) return {};
  const std::string what = format("cannot {} the data directory {}", code ? "create" : "write in", directory.native());
  Error why = system_error(what, code ? code.value() : errno);
  why.message += "; make it writable for this user, or choose another with --data";
  return fail(std::move(why));
}

Error damaged(const std::filesystem::path& file, std::string_view finding) {
  return {ErrorCode::corrupt,
          format("{} is damaged: {}. Move it aside together with its -wal and -shm files and start again with a backup "
                 "of it or without one",
                 file.native(), finding)};
}

// Every page of a small file, else whether all statements still find their tables and indexes: reading a million
// rows would take longer than a start may.
Result<> check_integrity(Connection& connection, const std::filesystem::path& file, std::int64_t check_bytes_max) {
  std::error_code ignored;
  const auto bytes = std::filesystem::file_size(file, ignored);
  if (!ignored && std::cmp_less_equal(bytes, check_bytes_max)) {
    const auto verdict = connection.ask("PRAGMA quick_check(1)");
    if (!verdict) return fail(verdict.error());
    if (*verdict != "ok") return fail(damaged(file, *verdict));
  }
  for (const QueryText& text : kQueries) {
    if (auto ready = connection.prepared(text.query); !ready) {
      return ready.error().code == ErrorCode::internal ? Result<>(fail(damaged(file, ready.error().message))) : ready;
    }
  }
  return {};
}

Result<std::unique_ptr<Connection>> open_writer(const std::filesystem::path& file, const Options& options) {
  auto connection = Connection::open(file, Connection::Role::writer, options.vfs);
  if (!connection) return connection;
  Connection& writer = **connection;
  // Before anything is written: a file that is not ours, or newer, stays as it is.
  if (auto ours = check_origin(writer, file); !ours) return fail(ours.error());
  const auto mode = writer.ask("PRAGMA journal_mode = WAL");
  if (!mode) return fail(mode.error());
  if (*mode != "wal") {
    return fail(
        ErrorCode::unavailable,
        format("{} cannot have a write-ahead log (mode \"{}\"): the file system lacks shared memory, as network "
               "mounts do; choose a local data directory with --data",
               file.native(), *mode));
  }
  if (auto set = writer.execute(kWriterPragmas); !set) return fail(set.error());
  if (auto migrated = migrate(writer); !migrated) return fail(migrated.error());
  if (auto sound = check_integrity(writer, file, options.check_bytes_max); !sound) return fail(sound.error());
  return connection;
}

using OpenJobs = std::vector<control::JobRows>;

Result<OpenJobs> read_part(ReaderPool& readers, std::span<const JobId> ids) {
  const auto reader = readers.take();
  if (!reader) return fail(reader.error());
  return find_open_jobs(**reader, ids);
}

// Reading a row is mostly parsing, so a long queue is read by several threads. Nothing is committed meanwhile: they
// all see one state.
Result<OpenJobs> read_open_jobs(ReaderPool& readers, std::span<const JobId> ids) {
  const std::size_t parts = std::clamp<std::size_t>(ids.size() / kJobsPerThread, 1, kRestoreThreads);
  if (parts == 1) return read_part(readers, ids);
  const std::size_t part_size = (ids.size() + parts - 1) / parts;
  std::vector<Result<OpenJobs>> found(parts);
  std::vector<std::thread> threads;
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t begin = std::min(part * part_size, ids.size());
    const auto mine = ids.subspan(begin, std::min(part_size, ids.size() - begin));
    threads.emplace_back([&readers, &result = found[part], mine] { result = read_part(readers, mine); });
  }
  for (std::thread& thread : threads) thread.join();

  OpenJobs all;
  all.reserve(ids.size());
  for (Result<OpenJobs>& part : found) {
    if (!part) return part;
    std::move(part->begin(), part->end(), std::back_inserter(all));
    OpenJobs().swap(*part);
  }
  return all;
}

// Submissions and uploads can be refused with "disk full"; what running jobs report should still find room.
bool may_use_ballast(std::span<const control::Change> changes) {
  return std::none_of(changes.begin(), changes.end(), [](const control::Change& change) {
    return std::holds_alternative<control::InsertJob>(change) || std::holds_alternative<control::InsertUpload>(change);
  });
}

}  // namespace

// The writer goes last: the last connection to close tidies the log away.
struct Store::Parts {
  Parts(std::unique_ptr<Connection> connection, const std::filesystem::path& data_directory, const Options& options)
      : writer(std::move(connection), options.events_kept),
        readers(database_file(data_directory), options.vfs, std::max<std::size_t>(options.readers_max, 1)),
        ballast(data_directory / "ballast", options.ballast_bytes) {}

  Writer writer;
  ReaderPool readers;
  Ballast ballast;
};

std::filesystem::path database_file(const std::filesystem::path& data_directory) {
  return data_directory / "pixelfleet.db";
}

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& data_directory, Options options) {
  if (auto created = make_directory(data_directory); !created) return fail(created.error());
  const std::filesystem::path file = database_file(data_directory);
  auto connection = open_writer(file, options);
  if (!connection) return fail(std::move(connection.error()));

  auto parts = std::make_unique<Parts>(std::move(*connection), data_directory, options);
  if (auto held = parts->ballast.hold(); !held) {
    log::warn("store", "no reserve for a full disk: {}", held.error().message);
  }
  return std::unique_ptr<Store>(new Store(std::move(parts)));
}

Store::Store(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Store::~Store() = default;

Result<control::Restored> Store::restore() {
  // Bookkeeping only: a disk that is full at the start must not keep the queue from being read.
  if (auto closed = parts_->writer.close_attempts(); !closed) {
    log::warn("store", "attempts of the last run stay open: {}", closed.error().message);
  }
  Connection& connection = parts_->writer.connection();
  auto restored = find_restored(connection);
  if (!restored) return restored;
  const auto ids = find_open_ids(connection);
  if (!ids) return fail(ids.error());
  auto open_jobs = read_open_jobs(parts_->readers, *ids);
  if (!open_jobs) return fail(std::move(open_jobs.error()));
  restored->open_jobs = std::move(*open_jobs);
  return restored;
}

Result<> Store::commit(std::span<const control::Change> changes) {
  Result<> done = parts_->writer.commit(changes);
  if (done) {
    if (!parts_->ballast.held() && parts_->ballast.hold()) log::info("store", "the disk has space again");
    return done;
  }
  if (done.error().code != ErrorCode::disk_full || !parts_->ballast.held()) return done;

  log::warn("store", "{}", done.error().message);
  parts_->ballast.release();
  // Gives the log's own space back, which is often enough for a while.
  if (auto moved = parts_->writer.checkpoint(); !moved) log::warn("store", "{}", moved.error().message);
  return may_use_ballast(changes) ? parts_->writer.commit(changes) : done;
}

Result<control::Upload> Store::load_upload(UploadId id) { return find_upload(parts_->writer.connection(), id); }
Result<control::JobRows> Store::load_job(JobId id) { return find_job_rows(parts_->writer.connection(), id); }

bool Store::run_directory_taken(const std::string& directory) { return parts_->writer.run_directory_taken(directory); }

Result<std::vector<Job>> Store::jobs(const control::JobQuery& query) {
  const auto reader = parts_->readers.take();
  if (!reader) return fail(reader.error());
  return find_jobs(**reader, query);
}

Result<Job> Store::job(JobId id) {
  const auto reader = parts_->readers.take();
  if (!reader) return fail(reader.error());
  return find_job(**reader, id);
}

Result<std::vector<Image>> Store::images_of(JobId id) {
  const auto reader = parts_->readers.take();
  if (!reader) return fail(reader.error());
  return find_images_of(**reader, id);
}

Result<std::vector<Image>> Store::images(const control::ImageQuery& query) {
  const auto reader = parts_->readers.take();
  if (!reader) return fail(reader.error());
  return find_images(**reader, query);
}

Result<Image> Store::image(ImageId id) {
  const auto reader = parts_->readers.take();
  if (!reader) return fail(reader.error());
  return find_image(**reader, id);
}

Result<control::Upload> Store::upload(UploadId id) {
  const auto reader = parts_->readers.take();
  if (!reader) return fail(reader.error());
  return find_upload(**reader, id);
}

Result<std::vector<control::GpuStateRow>> Store::gpu_history(const GpuUuid& gpu, std::size_t limit) {
  const auto reader = parts_->readers.take();
  if (!reader) return fail(reader.error());
  return find_gpu_history(**reader, gpu, limit);
}

Result<std::vector<EventPtr>> Store::events(std::int64_t after, std::size_t limit) {
  const auto reader = parts_->readers.take();
  if (!reader) return fail(reader.error());
  return find_events(**reader, after, limit);
}

}  // namespace pixelfleet::store
