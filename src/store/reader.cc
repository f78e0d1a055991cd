#include <algorithm>
#include <limits>
#include <map>

#include "base/format.h"
#include "base/log.h"
#include "store/reader_pool_internal.h"
#include "store/rows_internal.h"

namespace pixelfleet::store {
namespace {

constexpr std::int64_t kNoBound = std::numeric_limits<std::int64_t>::max();

// Several statements that must see one state of the database. Short by construction: it ends with its scope.
class Snapshot {
 public:
  explicit Snapshot(Connection& connection) : connection_(connection) {
    if (auto begun = connection_.call(Query::begin_read).run(); !begun) failure_ = std::move(begun.error());
  }
  ~Snapshot() {
    if (!connection_.in_transaction()) return;
    if (auto ended = connection_.call(Query::commit).run(); !ended) {
      log::error("store", "cannot end a read: {}", ended.error().message);
    }
  }
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  const std::optional<Error>& failure() const { return failure_; }

 private:
  Connection& connection_;
  std::optional<Error> failure_;
};

// Reads every row with `read`, which gives a Result or a value.
template <class T, class Read>
Result<std::vector<T>> read_all(Call& call, Read read) {
  std::vector<T> rows;
  while (true) {
    auto more = call.next();
    if (!more) return fail(std::move(more.error()));
    if (!*more) return rows;
    auto row = read(call.row());
    if constexpr (std::is_convertible_v<decltype(row), T>) {
      rows.push_back(std::move(row));
    } else {
      if (!row) return fail(std::move(row.error()));
      rows.push_back(std::move(*row));
    }
  }
}

Result<std::vector<JobId>> find_ids(Connection& connection, std::span<const JobState> states, std::int64_t below,
                                    std::size_t limit) {
  const auto read = [](Row row) { return JobId(row.integer()); };
  if (states.empty()) {
    Call call = connection.call(Query::job_ids);
    return read_all<JobId>(call.with(below, limit), read);
  }
  // One range per state, merged here: SQL would sort them all.
  std::vector<JobId> ids;
  for (const JobState state : states) {
    Call call = connection.call(Query::job_ids_in_state);
    auto found = read_all<JobId>(call.with(name(state), below, limit), read);
    if (!found) return found;
    ids.insert(ids.end(), found->begin(), found->end());
  }
  std::sort(ids.begin(), ids.end(), std::greater<>());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());  // a state may be named twice
  if (ids.size() > limit) ids.resize(limit);
  return ids;
}

Result<> read_settings(Connection& connection, std::map<std::string, std::string>& settings) {
  Call call = connection.call(Query::all_settings);
  while (true) {
    const auto more = call.next();
    if (!more) return fail(more.error());
    if (!*more) return {};
    Row row = call.row();
    std::string key = row.string();
    settings[std::move(key)] = row.string();
  }
}

control::LearnedCost read_cost(Row row) {
  control::LearnedCost cost;
  cost.kind = row.string();
  cost.subject = row.string();
  cost.gpu_type = row.string();
  cost.log_ratio = row.real();
  cost.count = row.real();
  return cost;
}

Result<> read_costs(Connection& connection, std::vector<control::LearnedCost>& costs) {
  Call call = connection.call(Query::all_costs);
  auto found = read_all<control::LearnedCost>(call, read_cost);
  if (!found) return fail(std::move(found.error()));
  costs = std::move(*found);
  return {};
}

Result<> read_gpus(Connection& connection, control::Restored& restored) {
  Call states_call = connection.call(Query::all_gpu_states);
  auto states = read_all<control::GpuStateRow>(states_call, read_gpu_state);
  if (!states) return fail(std::move(states.error()));
  restored.gpu_states = std::move(*states);
  Call models_call = connection.call(Query::all_disabled_models);
  auto models = read_all<control::DisabledModel>(models_call, read_disabled_model);
  if (!models) return fail(std::move(models.error()));
  restored.disabled_models = std::move(*models);
  return {};
}

Result<> read_pauses(Connection& connection, Pauses& pauses) {
  Call call = connection.call(Query::all_pauses);
  while (true) {
    const auto more = call.next();
    if (!more) return fail(more.error());
    if (!*more) return {};
    std::string owner = call.row().string();
    if (owner.empty()) {
      pauses.all = true;
    } else {
      pauses.owners.insert(std::move(owner));
    }
  }
}

Result<> read_counts(Connection& connection, JobCounts& counts) {
  Call call = connection.call(Query::all_counts);
  while (true) {
    const auto more = call.next();
    if (!more) return fail(more.error());
    if (!*more) return {};
    if (auto added = add_count(counts, call.row()); !added) return added;
  }
}

Result<> read_last_ids(Connection& connection, control::Restored& restored) {
  Call call = connection.call(Query::last_ids);
  const auto more = call.next();
  if (!more) return fail(more.error());
  Row row = call.row();
  restored.last_seq = row.integer();
  restored.last_run = RunId(row.integer());
  restored.last_job = JobId(row.integer());
  restored.last_image = ImageId(row.integer());
  restored.last_chunk = ChunkId(row.integer());
  restored.last_worker = WorkerId(row.integer());
  restored.last_upload = UploadId(row.integer());
  return {};
}

}  // namespace

Result<std::vector<Job>> find_jobs(Connection& connection, const control::JobQuery& query) {
  Snapshot snapshot(connection);
  if (snapshot.failure()) return fail(*snapshot.failure());
  const auto ids = find_ids(connection, query.states, query.after ? query.after->value : kNoBound, query.limit);
  if (!ids) return fail(ids.error());
  std::vector<Job> jobs;
  jobs.reserve(ids->size());
  for (const JobId id : *ids) {
    auto job = find_job(connection, id);
    if (!job) return fail(std::move(job.error()));
    jobs.push_back(std::move(*job));
  }
  return jobs;
}

Result<Job> find_job(Connection& connection, JobId id) {
  Call call = connection.call(Query::job_by_id);
  const auto more = call.with(id).next();
  if (!more) return fail(more.error());
  if (!*more) return fail(ErrorCode::not_found, format("there is no job {}", id.value));
  return read_job(call.row());
}

Result<std::vector<Image>> find_images_of(Connection& connection, JobId id) {
  Call call = connection.call(Query::images_of_job);
  return read_all<Image>(call.with(id), read_image);
}

Result<std::vector<Image>> find_images(Connection& connection, const control::ImageQuery& query) {
  const std::int64_t below = query.after ? query.after->value : kNoBound;
  if (query.job) {
    Call call = connection.call(Query::published_images_of_job);
    return read_all<Image>(call.with(*query.job, below, query.limit), read_image);
  }
  Call call = connection.call(Query::published_images);
  return read_all<Image>(call.with(below, query.limit), read_image);
}

Result<Image> find_image(Connection& connection, ImageId id) {
  Call call = connection.call(Query::image_by_id);
  const auto more = call.with(id).next();
  if (!more) return fail(more.error());
  if (!*more) return fail(ErrorCode::not_found, format("there is no image {}", id.value));
  return read_image(call.row());
}

Result<control::Upload> find_upload(Connection& connection, UploadId id) {
  Call call = connection.call(Query::upload_by_id);
  const auto more = call.with(id).next();
  if (!more) return fail(more.error());
  if (!*more) return fail(ErrorCode::not_found, format("there is no upload {}", id.value));
  return read_upload(call.row());
}

Result<std::vector<EventPtr>> find_events(Connection& connection, std::int64_t after, std::size_t limit) {
  Call call = connection.call(Query::events_after);
  return read_all<EventPtr>(call.with(after, limit), read_event);
}

Result<std::vector<control::GpuStateRow>> find_gpu_history(Connection& connection, const GpuUuid& gpu,
                                                           std::size_t limit) {
  Call call = connection.call(Query::history_of_gpu);
  return read_all<control::GpuStateRow>(call.with(gpu, limit), read_gpu_state);
}

Result<control::Restored> find_restored(Connection& connection) {
  Snapshot snapshot(connection);
  if (snapshot.failure()) return fail(*snapshot.failure());
  control::Restored restored;
  if (auto done = read_last_ids(connection, restored); !done) return fail(done.error());
  if (auto done = read_settings(connection, restored.settings); !done) return fail(done.error());
  if (auto done = read_pauses(connection, restored.pauses); !done) return fail(done.error());
  if (auto done = read_costs(connection, restored.costs); !done) return fail(done.error());
  if (auto done = read_gpus(connection, restored); !done) return fail(done.error());
  if (auto done = read_counts(connection, restored.counts); !done) return fail(done.error());
  return restored;
}

Result<std::vector<JobId>> find_open_ids(Connection& connection) {
  constexpr JobState kOpen[] = {JobState::queued, JobState::held, JobState::running};
  auto ids = find_ids(connection, kOpen, kNoBound, std::numeric_limits<std::int64_t>::max());
  if (ids) std::reverse(ids->begin(), ids->end());
  return ids;
}

Result<control::JobRows> find_job_rows(Connection& connection, JobId id) {
  auto job = find_job(connection, id);
  if (!job) return fail(std::move(job.error()));
  auto images = find_images_of(connection, id);
  if (!images) return fail(std::move(images.error()));
  return control::JobRows{std::move(*job), std::move(*images)};
}

Result<std::vector<control::JobRows>> find_open_jobs(Connection& connection, std::span<const JobId> ids) {
  std::vector<control::JobRows> open_jobs;
  open_jobs.reserve(ids.size());
  for (const JobId id : ids) {
    auto rows = find_job_rows(connection, id);
    if (!rows) return fail(std::move(rows.error()));
    open_jobs.push_back(std::move(*rows));
  }
  return open_jobs;
}

}  // namespace pixelfleet::store
