#include <array>
#include <charconv>

#include "base/format.h"
#include "store/schema_internal.h"

namespace pixelfleet::store {
namespace {

// Words are the vocabulary's, states and reasons are their names. "index" is SQL's own word, so the column is idx.
// priority is stored so that ascending order is running order: 0 interactive, 1 normal, 2 background. priority, rank
// and pin (a gpu's UUID) are what somebody made of them since; `requested` keeps what was asked for at first.
constexpr const char* kVersion1 = R"sql(
CREATE TABLE runs(
  id INTEGER PRIMARY KEY,
  directory TEXT NOT NULL UNIQUE,
  created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE jobs(
  id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES runs(id),
  state TEXT NOT NULL CHECK (state IN ('queued', 'held', 'running', 'done', 'failed', 'cancelled')),
  held_reason TEXT,
  priority INTEGER NOT NULL,
  rank REAL NOT NULL,
  pin TEXT,
  owner TEXT NOT NULL,
  model TEXT NOT NULL,
  requested TEXT NOT NULL,
  settings TEXT NOT NULL,
  seed_base INTEGER NOT NULL,
  count INTEGER NOT NULL,
  published INTEGER NOT NULL CHECK (published BETWEEN 0 AND count),
  worker_deaths INTEGER NOT NULL,
  cancel_requested INTEGER NOT NULL CHECK (cancel_requested IN (0, 1)),
  error TEXT,
  warnings TEXT,
  sweep_id INTEGER,
  campaign_id INTEGER,
  created_at_ms INTEGER NOT NULL,
  started_at_ms INTEGER,
  finished_at_ms INTEGER
) STRICT;
CREATE INDEX jobs_by_state ON jobs(state, id);

-- Kept by triggers: counting a million ended jobs at each start would take longer than the start.
CREATE TABLE job_counts(
  state TEXT PRIMARY KEY,
  count INTEGER NOT NULL CHECK (count >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO job_counts(state, count)
  VALUES ('queued', 0), ('held', 0), ('running', 0), ('done', 0), ('failed', 0), ('cancelled', 0);
CREATE TRIGGER jobs_counted AFTER INSERT ON jobs BEGIN
  UPDATE job_counts SET count = count + 1 WHERE state = new.state;
END;
CREATE TRIGGER jobs_recounted AFTER UPDATE OF state ON jobs WHEN new.state <> old.state BEGIN
  UPDATE job_counts SET count = count - 1 WHERE state = old.state;
  UPDATE job_counts SET count = count + 1 WHERE state = new.state;
END;
CREATE TRIGGER jobs_uncounted AFTER DELETE ON jobs BEGIN
  UPDATE job_counts SET count = count - 1 WHERE state = old.state;
END;

-- A chunk is a list of one job's image indices; an attempt is one execution of it. attempts.id is the fencing number.
CREATE TABLE chunks(
  id INTEGER PRIMARY KEY,
  job_id INTEGER NOT NULL REFERENCES jobs(id),
  indices TEXT NOT NULL
) STRICT;
CREATE INDEX chunks_by_job ON chunks(job_id);

CREATE TABLE attempts(
  id INTEGER PRIMARY KEY,
  chunk_id INTEGER NOT NULL REFERENCES chunks(id),
  worker_id INTEGER NOT NULL,
  gpu TEXT NOT NULL,
  outcome TEXT,
  error TEXT,
  started_at_ms INTEGER NOT NULL,
  finished_at_ms INTEGER
) STRICT;
CREATE INDEX attempts_by_chunk ON attempts(chunk_id);
CREATE INDEX attempts_by_worker ON attempts(worker_id);
CREATE INDEX attempts_open ON attempts(id) WHERE outcome IS NULL;

-- attempt is the fence: only the attempt that it names may publish the image. It refers to a past execution, not to
-- an owner, hence no foreign key.
CREATE TABLE images(
  id INTEGER PRIMARY KEY,
  job_id INTEGER NOT NULL REFERENCES jobs(id),
  idx INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'published')),
  seed INTEGER NOT NULL,
  path TEXT NOT NULL UNIQUE,
  attempt INTEGER,
  bytes INTEGER NOT NULL,
  demo INTEGER NOT NULL,
  model_hash TEXT NOT NULL,
  engine TEXT NOT NULL,
  engine_version TEXT NOT NULL,
  gpu TEXT NOT NULL,
  seconds REAL NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  published_at_ms INTEGER,
  UNIQUE (job_id, idx)
) STRICT;
CREATE INDEX images_published ON images(id) WHERE state = 'published';
CREATE INDEX images_published_of_job ON images(job_id, id) WHERE state = 'published';

CREATE TABLE settings(
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Whose jobs do not start; the empty owner means everybody.
CREATE TABLE pauses(
  owner TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- What the scheduler learned: the logarithm of measured over predicted, by kind of work, subject (a model, or a family
-- and a sampler) and type of gpu.
CREATE TABLE costs(
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  gpu_type TEXT NOT NULL,
  log_ratio REAL NOT NULL,
  count REAL NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  PRIMARY KEY (kind, subject, gpu_type)
) STRICT, WITHOUT ROWID;

-- The health of each gpu as it was last, and how it came to be so: words of src/health.
CREATE TABLE gpu_states(
  gpu TEXT PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  from_state TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  until_ms INTEGER,
  back_off_level INTEGER NOT NULL,
  hold TEXT NOT NULL,
  hardware TEXT NOT NULL,
  workers TEXT NOT NULL,
  job_id INTEGER,
  model TEXT NOT NULL,
  evidence TEXT NOT NULL,
  boot_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE gpu_history(
  id INTEGER PRIMARY KEY,
  gpu TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  from_state TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  until_ms INTEGER,
  back_off_level INTEGER NOT NULL,
  hold TEXT NOT NULL,
  hardware TEXT NOT NULL,
  workers TEXT NOT NULL,
  job_id INTEGER,
  model TEXT NOT NULL,
  evidence TEXT NOT NULL,
  boot_id TEXT NOT NULL
) STRICT;
CREATE INDEX gpu_history_by_gpu ON gpu_history(gpu, id);

-- Models that no gpu could load; their jobs wait.
CREATE TABLE disabled_models(
  model TEXT PRIMARY KEY,
  why TEXT NOT NULL,
  evidence TEXT NOT NULL,
  files TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events(
  seq INTEGER PRIMARY KEY,
  type TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  data TEXT NOT NULL
) STRICT;

CREATE TABLE uploads(
  id INTEGER PRIMARY KEY,
  file TEXT NOT NULL UNIQUE,
  media_type TEXT NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT;
)sql";

constexpr std::array kMigrations{Migration{1, kVersion1}};

Result<int> ask_number(Connection& connection, const std::string& sql) {
  const auto text = connection.ask(sql);
  if (!text) return fail(text.error());
  int number = 0;
  std::from_chars(text->data(), text->data() + text->size(), number);
  return number;
}

Result<> run_one(Connection& connection, const Migration& migration) {
  if (auto begun = connection.execute("BEGIN IMMEDIATE"); !begun) return begun;
  const std::string version =
      format("PRAGMA user_version = {}; PRAGMA application_id = {};", migration.version, kApplicationId);
  Result<> done = connection.execute(migration.sql);
  if (done) done = connection.execute(version);
  if (done) done = connection.execute("COMMIT");
  if (!done && connection.in_transaction()) {
    // SQLite undoes the transaction when the connection closes, should this fail too.
    if (auto undone = connection.execute("ROLLBACK"); !undone) return undone;
  }
  return done;
}

}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

Result<> check_origin(Connection& connection, const std::filesystem::path& file, std::span<const Migration> all) {
  const int newest = all.empty() ? 0 : all.back().version;
  const auto version = ask_number(connection, "PRAGMA user_version");
  if (!version) return fail(version.error());
  const auto application = ask_number(connection, "PRAGMA application_id");
  if (!application) return fail(application.error());
  const auto tables = ask_number(connection, "SELECT count(*) FROM sqlite_schema");
  if (!tables) return fail(tables.error());

  if (*tables > 0 && *application != kApplicationId) {
    return fail(
        ErrorCode::conflict,
        format("{} is a database of another program; choose another data directory with --data", file.native()));
  }
  if (*version > newest) {
    return fail(
        ErrorCode::conflict,
        format("{} has schema version {}, written by a newer PixelFleet; this one knows versions up to {}. Start "
               "the newer program, restore a backup, or choose another data directory with --data",
               file.native(), *version, newest));
  }
  return {};
}

Result<> migrate(Connection& connection, std::span<const Migration> all) {
  const auto version = ask_number(connection, "PRAGMA user_version");
  if (!version) return fail(version.error());
  for (const Migration& migration : all) {
    if (migration.version <= *version) continue;
    if (auto done = run_one(connection, migration); !done) {
      done.error().message += format(" (while migrating to schema version {})", migration.version);
      return done;
    }
  }
  return {};
}

}  // namespace pixelfleet::store
