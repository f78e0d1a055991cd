// Every statement the store runs again and again, in one list: the plan test walks all of it.
//
// Paging is by key with an ordinary range on the rowid (never OFFSET, never a row value); what must not fall back to
// a scan names its index. `?1` ... are bound in order; column lists match the row readers of rows.cc.
#pragma once

#include <array>
#include <cstddef>

namespace pixelfleet::store {

enum class Query : std::size_t {
  begin_write,
  begin_read,
  commit,
  rollback,
  insert_run,
  insert_job,
  insert_image,
  update_job,
  update_job_order,
  insert_chunk,
  insert_attempt,
  fence_image,
  finish_attempt,
  publish_image,
  count_published,
  put_setting,
  drop_pauses,
  put_pause,
  put_cost,
  put_gpu_state,
  insert_gpu_history,
  put_disabled_model,
  drop_disabled_model,
  insert_upload,
  insert_event,
  prune_events,
  close_attempts,
  run_taken,
  path_taken,
  job_by_id,
  job_ids,
  job_ids_in_state,
  images_of_job,
  image_by_id,
  published_images,
  published_images_of_job,
  upload_by_id,
  events_after,
  history_of_gpu,
  all_settings,
  all_pauses,
  all_costs,
  all_gpu_states,
  all_disabled_models,
  all_counts,
  last_ids,
  end_
};

// What a statement may read: a bounded part through an index, or all of a table that stays tiny.
enum class Reads { through_index, small_table };

struct QueryText {
  Query query;
  const char* sql;
  Reads reads = Reads::through_index;
};

#define PF_JOB_COLUMNS                                                                                    \
  "jobs.id, run_id, state, held_reason, requested, priority, rank, pin, settings, seed_base, published, " \
  "worker_deaths, cancel_requested, error, warnings, directory, jobs.created_at_ms, started_at_ms, finished_at_ms"
#define PF_IMAGE_COLUMNS                                                                                \
  "id, job_id, idx, state, seed, path, bytes, demo, model_hash, engine, engine_version, gpu, seconds, " \
  "width, height, published_at_ms"

#define PF_GPU_COLUMNS                                                                                   \
  "gpu, at_ms, from_state, state, reason, since_ms, until_ms, back_off_level, hold, hardware, workers, " \
  "job_id, model, evidence, boot_id"
#define PF_GPU_VALUES "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"

inline constexpr std::array kQueries{
    QueryText{Query::begin_write, "BEGIN IMMEDIATE"},
    QueryText{Query::begin_read, "BEGIN"},
    QueryText{Query::commit, "COMMIT"},
    QueryText{Query::rollback, "ROLLBACK"},

    // --- changes
    QueryText{Query::insert_run, "INSERT INTO runs(id, directory, created_at_ms) VALUES (?1, ?2, ?3)"},
    QueryText{
        Query::insert_job,
        "INSERT INTO jobs(id, run_id, state, held_reason, priority, rank, pin, owner, model, requested, settings, "
        "seed_base, count, published, worker_deaths, cancel_requested, error, warnings, sweep_id, campaign_id, "
        "created_at_ms, started_at_ms, finished_at_ms) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, "
        "?23)"},
    QueryText{Query::insert_image, "INSERT INTO images(" PF_IMAGE_COLUMNS
                                   ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"},
    QueryText{Query::update_job,
              "UPDATE jobs SET state = ?2, held_reason = ?3, error = ?4, worker_deaths = ?5, started_at_ms = ?6, "
              "finished_at_ms = ?7, cancel_requested = ?8 WHERE id = ?1"},
    QueryText{Query::update_job_order, "UPDATE jobs SET priority = ?2, rank = ?3, pin = ?4 WHERE id = ?1"},
    QueryText{Query::insert_chunk, "INSERT INTO chunks(id, job_id, indices) VALUES (?1, ?2, ?3)"},
    QueryText{Query::insert_attempt,
              "INSERT INTO attempts(id, chunk_id, worker_id, gpu, started_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)"},
    QueryText{Query::fence_image,
              "UPDATE images SET attempt = ?1 WHERE job_id = ?2 AND idx = ?3 AND state = 'pending'"},
    QueryText{Query::finish_attempt,
              "UPDATE attempts SET outcome = ?2, error = ?3, finished_at_ms = ?4 WHERE id = ?1 AND outcome IS NULL"},
    QueryText{Query::publish_image,
              "UPDATE images SET state = 'published', bytes = ?4, model_hash = ?5, engine = ?6, engine_version = ?7, "
              "gpu = ?8, seconds = ?9, width = ?10, height = ?11, published_at_ms = ?12 "
              "WHERE job_id = ?1 AND idx = ?2 AND attempt = ?3 AND state = 'pending'"},
    QueryText{Query::count_published, "UPDATE jobs SET published = published + 1 WHERE id = ?1"},
    QueryText{Query::put_setting,
              "INSERT INTO settings(key, value) VALUES (?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value"},
    QueryText{Query::drop_pauses, "DELETE FROM pauses", Reads::small_table},
    QueryText{Query::put_pause, "INSERT INTO pauses(owner) VALUES (?1)"},
    QueryText{Query::put_cost,
              "INSERT INTO costs(kind, subject, gpu_type, log_ratio, count, updated_at_ms) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(kind, subject, gpu_type) DO UPDATE SET "
              "log_ratio = excluded.log_ratio, count = excluded.count, updated_at_ms = excluded.updated_at_ms"},
    QueryText{Query::put_gpu_state, "INSERT OR REPLACE INTO gpu_states(" PF_GPU_COLUMNS ") " PF_GPU_VALUES},
    QueryText{Query::insert_gpu_history, "INSERT INTO gpu_history(" PF_GPU_COLUMNS ") " PF_GPU_VALUES},
    QueryText{Query::put_disabled_model,
              "INSERT OR REPLACE INTO disabled_models(model, why, evidence, files, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)"},
    QueryText{Query::drop_disabled_model, "DELETE FROM disabled_models WHERE model = ?1"},
    QueryText{Query::insert_upload,
              "INSERT INTO uploads(id, file, media_type, width, height, bytes, created_at_ms) "
              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"},
    QueryText{Query::insert_event, "INSERT INTO events(seq, type, at_ms, data) VALUES (?1, ?2, ?3, ?4)"},
    // ?1: the newest one to go; ?2: how many may go in this step.
    QueryText{Query::prune_events, "DELETE FROM events WHERE seq <= ?1 AND seq < (SELECT min(seq) FROM events) + ?2"},
    QueryText{Query::close_attempts,
              "UPDATE attempts INDEXED BY attempts_open SET outcome = 'lost' WHERE outcome IS NULL"},

    // --- questions of the control loop
    QueryText{Query::run_taken, "SELECT 1 FROM runs WHERE directory = ?1"},
    QueryText{Query::path_taken, "SELECT 1 FROM images WHERE path >= ?1 AND path < ?2 LIMIT 1"},

    // --- readers
    QueryText{Query::job_by_id,
              "SELECT " PF_JOB_COLUMNS " FROM jobs CROSS JOIN runs ON runs.id = jobs.run_id WHERE jobs.id = ?1"},
    QueryText{Query::job_ids, "SELECT id FROM jobs WHERE id < ?1 ORDER BY id DESC LIMIT ?2"},
    QueryText{Query::job_ids_in_state,
              "SELECT id FROM jobs INDEXED BY jobs_by_state WHERE state = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"},
    QueryText{Query::images_of_job, "SELECT " PF_IMAGE_COLUMNS " FROM images WHERE job_id = ?1 ORDER BY idx"},
    QueryText{Query::image_by_id, "SELECT " PF_IMAGE_COLUMNS " FROM images WHERE id = ?1"},
    QueryText{Query::published_images, "SELECT " PF_IMAGE_COLUMNS " FROM images INDEXED BY images_published "
                                       "WHERE state = 'published' AND id < ?1 ORDER BY id DESC LIMIT ?2"},
    QueryText{Query::published_images_of_job,
              "SELECT " PF_IMAGE_COLUMNS " FROM images INDEXED BY images_published_of_job "
              "WHERE job_id = ?1 AND state = 'published' AND id < ?2 ORDER BY id DESC LIMIT ?3"},
    QueryText{Query::upload_by_id,
              "SELECT id, file, media_type, width, height, bytes, created_at_ms FROM uploads WHERE id = ?1"},
    QueryText{Query::events_after, "SELECT seq, type, at_ms, data FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2"},
    QueryText{Query::history_of_gpu,
              "SELECT " PF_GPU_COLUMNS " FROM gpu_history INDEXED BY gpu_history_by_gpu WHERE gpu = ?1 "
              "ORDER BY id DESC LIMIT ?2"},

    // --- restart
    QueryText{Query::all_settings, "SELECT key, value FROM settings", Reads::small_table},
    QueryText{Query::all_pauses, "SELECT owner FROM pauses", Reads::small_table},
    QueryText{Query::all_costs,
              "SELECT kind, subject, gpu_type, log_ratio, count FROM costs ORDER BY kind, subject, gpu_type",
              Reads::small_table},
    QueryText{Query::all_gpu_states, "SELECT " PF_GPU_COLUMNS " FROM gpu_states ORDER BY gpu", Reads::small_table},
    QueryText{Query::all_disabled_models,
              "SELECT model, why, evidence, files, at_ms FROM disabled_models ORDER BY model", Reads::small_table},
    QueryText{Query::all_counts, "SELECT state, count FROM job_counts", Reads::small_table},
    QueryText{Query::last_ids,
              "SELECT (SELECT max(seq) FROM events), (SELECT max(id) FROM runs), (SELECT max(id) FROM jobs), "
              "(SELECT max(id) FROM images), (SELECT max(id) FROM chunks), (SELECT max(worker_id) FROM attempts), "
              "(SELECT max(id) FROM uploads)"},
};

#undef PF_JOB_COLUMNS
#undef PF_IMAGE_COLUMNS
#undef PF_GPU_COLUMNS
#undef PF_GPU_VALUES

static_assert(kQueries.size() == static_cast<std::size_t>(Query::end_), "one text for each query");
static_assert(
    [] {
      for (std::size_t i = 0; i < kQueries.size(); ++i) {
        if (static_cast<std::size_t>(kQueries[i].query) != i) return false;
      }
      return true;
    }(),
    "texts stand in the order of the enumerators");

}  // namespace pixelfleet::store
