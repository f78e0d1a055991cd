#include <set>

#include "base/check.h"
#include "base/format.h"
#include "base/json_full.h"
#include "base/log.h"
#include "store/rows_internal.h"
#include "store/writer_internal.h"

namespace pixelfleet::store {
namespace {

// Enough to keep up with any rate of events, little enough that a commit stays short.
constexpr std::int64_t kPruneStep = 64;

Result<> dropped(Result<std::int64_t> changed) {
  if (!changed) return fail(std::move(changed.error()));
  return {};
}

}  // namespace

Result<> Writer::commit(std::span<const control::Change> changes) {
  if (changes.empty()) return {};
  if (auto begun = finish(Query::begin_write); !begun) return begun;
  Result<> done = apply_all(changes);
  if (done) done = finish(Query::commit);
  if (done) return {};
  // Some failures have ended the transaction already.
  if (connection_->in_transaction()) {
    if (auto undone = finish(Query::rollback); !undone) {
      log::error("store", "rollback failed: {}", undone.error().message);
    }
  }
  CHECK(!connection_->in_transaction());
  return done;
}

Result<> Writer::apply_all(std::span<const control::Change> changes) {
  std::int64_t appended = 0;
  std::int64_t newest = 0;
  for (const control::Change& change : changes) {
    if (auto done = std::visit([this](const auto& each) { return apply(each); }, change); !done) return done;
    if (const auto* event = std::get_if<control::AppendEvent>(&change)) {
      ++appended;
      newest = event->event->seq;
    }
  }
  return appended > 0 ? prune_events(newest, appended) : Result<>();
}

Result<> Writer::apply(const control::InsertRun& change) {
  const control::Run& run = change.run;
  return dropped(connection_->call(Query::insert_run).with(run.id, run.directory, run.created_at).run());
}

Result<> Writer::apply(const control::InsertJob& change) {
  const JobTexts texts = texts_of(change.job);
  Call insert_job = connection_->call(Query::insert_job);
  bind_job(insert_job, change.job, texts);
  if (auto done = insert_job.run(); !done) return dropped(std::move(done));
  for (const Image& image : change.images) {
    Call insert_image = connection_->call(Query::insert_image);
    bind_image(insert_image, image);
    if (auto done = insert_image.run(); !done) return dropped(std::move(done));
  }
  return {};
}

Result<> Writer::apply(const control::UpdateJob& change) {
  std::optional<std::string_view> held_reason;
  if (change.held_reason) held_reason = name(*change.held_reason);
  std::optional<std::string> error;
  if (change.error) error = text_of(*change.error);
  auto changed = connection_->call(Query::update_job)
                     .with(change.id, name(change.state), held_reason, error, change.worker_deaths, change.started_at,
                           change.finished_at, change.cancel_requested ? 1 : 0)
                     .run();
  return one_row(std::move(changed), "job", change.id.value);
}

Result<> Writer::apply(const control::UpdateJobOrder& change) {
  auto changed = connection_->call(Query::update_job_order)
                     .with(change.id, static_cast<int>(change.priority), change.rank, change.gpu)
                     .run();
  return one_row(std::move(changed), "job", change.id.value);
}

Result<> Writer::apply(const control::InsertChunk& change) {
  const std::string indices = text_of(change.indices);
  if (auto done = connection_->call(Query::insert_chunk).with(change.id, change.job_id, indices).run(); !done) {
    return dropped(std::move(done));
  }
  // One attempt for each chunk: a repetition of missing images is a new chunk. So both have one number.
  auto done = connection_->call(Query::insert_attempt)
                  .with(change.id, change.id, change.worker_id, change.gpu, change.started_at)
                  .run();
  if (!done) return dropped(std::move(done));
  for (const int index : change.indices) {
    auto fenced = connection_->call(Query::fence_image).with(change.id, change.job_id, index).run();
    if (!fenced) return dropped(std::move(fenced));
  }
  return {};
}

Result<> Writer::apply(const control::FinishChunk& change) {
  std::optional<std::string> error;
  if (change.error) error = text_of(*change.error);
  return dropped(
      connection_->call(Query::finish_attempt).with(change.id, change.outcome, error, change.finished_at).run());
}

Result<> Writer::apply(const control::PublishImage& change) {
  const EffectiveImage& made = change.effective;
  auto published = connection_->call(Query::publish_image)
                       .with(change.job_id, change.index, change.attempt, change.bytes, made.model_hash, made.engine,
                             made.engine_version, made.gpu, made.seconds, made.width, made.height, change.published_at)
                       .run();
  if (!published) return dropped(std::move(published));
  if (*published == 0) return {};  // late or double: the fence held
  return one_row(connection_->call(Query::count_published).with(change.job_id).run(), "job", change.job_id.value);
}

Result<> Writer::apply(const control::PutSettings& change) {
  for (const auto& [key, value] : change.values) {
    if (auto done = connection_->call(Query::put_setting).with(key, value).run(); !done)
      return dropped(std::move(done));
  }
  return {};
}

Result<> Writer::apply(const control::PutPauses& change) {
  if (auto done = finish(Query::drop_pauses); !done) return done;
  std::set<std::string> rows = change.pauses.owners;
  if (change.pauses.all) rows.insert("");
  for (const std::string& owner : rows) {
    if (auto done = connection_->call(Query::put_pause).with(owner).run(); !done) return dropped(std::move(done));
  }
  return {};
}

Result<> Writer::apply(const control::PutCost& change) {
  const control::LearnedCost& cost = change.cost;
  return dropped(connection_->call(Query::put_cost)
                     .with(cost.kind, cost.subject, cost.gpu_type, cost.log_ratio, cost.count, change.updated_at)
                     .run());
}

Result<> Writer::apply(const control::AppendGpuState& change) {
  const control::GpuStateRow& row = change.row;
  const std::string evidence = to_text(Json(row.evidence));
  for (const Query query : {Query::put_gpu_state, Query::insert_gpu_history}) {
    auto done = connection_->call(query)
                    .with(row.gpu, row.at, row.from, row.state, row.reason, row.since, row.until, row.back_off_level,
                          row.hold, row.hardware, row.workers, row.job, row.model, evidence, row.boot_id)
                    .run();
    if (!done) return dropped(std::move(done));
  }
  return {};
}

Result<> Writer::apply(const control::PutDisabledModel& change) {
  const control::DisabledModel& model = change.model;
  const std::string evidence = to_text(Json(model.evidence));
  return dropped(
      connection_->call(Query::put_disabled_model).with(model.model, model.why, evidence, model.files, model.at).run());
}

Result<> Writer::apply(const control::DropDisabledModel& change) {
  return dropped(connection_->call(Query::drop_disabled_model).with(change.model).run());
}

Result<> Writer::apply(const control::InsertUpload& change) {
  const control::Upload& upload = change.upload;
  return dropped(
      connection_->call(Query::insert_upload)
          .with(upload.id, upload.file, upload.media_type, upload.width, upload.height, upload.bytes, upload.created_at)
          .run());
}

Result<> Writer::apply(const control::AppendEvent& change) {
  const Event& event = *change.event;
  CHECK(event.durable());
  return dropped(connection_->call(Query::insert_event).with(event.seq, event.type, event.at, event.data).run());
}

Result<> Writer::prune_events(std::int64_t newest, std::int64_t appended) {
  if (newest <= events_kept_) return {};
  return dropped(connection_->call(Query::prune_events).with(newest - events_kept_, 2 * appended + kPruneStep).run());
}

Result<> Writer::one_row(Result<std::int64_t> changed, std::string_view what, std::int64_t id) const {
  if (changed && *changed == 0) return fail(ErrorCode::not_found, format("the store has no {} {}", what, id));
  return dropped(std::move(changed));
}

Result<> Writer::finish(Query query) { return dropped(connection_->call(query).run()); }

Result<> Writer::close_attempts() { return finish(Query::close_attempts); }

bool Writer::run_directory_taken(const std::string& directory) {
  const auto found = [](Call& call) {
    const auto more = call.next();
    if (!more) log::error("store", "{}", more.error().message);
    return more && *more;  // where the question fails, the commit will: the names are UNIQUE
  };
  {
    Call run = connection_->call(Query::run_taken);
    if (found(run.with(directory))) return true;
  }
  // Every path below the directory: '0' is the character after '/'.
  const std::string from = directory + "/";
  const std::string to = directory + "0";
  Call path = connection_->call(Query::path_taken);
  return found(path.with(std::string_view(from), std::string_view(to)));
}

}  // namespace pixelfleet::store
