#include "store/schema_internal.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "store/test_support_internal.h"

namespace pixelfleet::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

std::unique_ptr<Connection> open_connection(const std::filesystem::path& file) {
  auto connection = Connection::open(file, Connection::Role::writer, "");
  EXPECT_TRUE(connection);
  return std::move(*connection);
}

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// FNV-1a: enough to notice an edit.
std::uint64_t digest(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

class SchemaTest : public ::testing::Test {
 protected:
  Error refusal() {
    auto store = Store::open(directory_.path(), small_options());
    EXPECT_FALSE(store);
    return store ? Error{} : store.error();
  }

  TemporaryDirectory directory_;
  const std::filesystem::path file_ = database_file(directory_.path());
};

TEST_F(SchemaTest, MigrationsAreNumberedFromOneWithoutGaps) {
  int expected = 1;
  for (const Migration& migration : migrations()) EXPECT_EQ(migration.version, expected++);
}

// People have files of each released version: a change of the schema is a new migration, never an edit of an old one.
TEST_F(SchemaTest, MigrationsThatWereReleasedAreNotEdited) {
  const std::vector<std::uint64_t> released = {0x5ed75f59bfc66171u};
  ASSERT_GE(migrations().size(), released.size());
  for (std::size_t i = 0; i < released.size(); ++i) {
    EXPECT_EQ(digest(migrations()[i].sql), released[i]) << "migration " << migrations()[i].version;
  }
}

TEST_F(SchemaTest, AFileOfVersionOneKeepsItsRows) {
  {
    auto connection = open_connection(file_);
    ASSERT_TRUE(migrate(*connection, migrations().first(1)));
    ASSERT_TRUE(connection->execute(R"sql(
      INSERT INTO runs VALUES (1, 'run_20261124_091530', 1790000000000);
      INSERT INTO jobs VALUES (5, 1, 'queued', NULL, 1, 0.0, NULL, 'local', 'demo-city', '{"prompt":"a city","count":2}',
        '{"prompt":"a city","negative_prompt":"","model":"demo-city","profile":"none","mode":"txt2img","width":512,
          "height":512,"generate_width":512,"generate_height":512,"steps":20,"cfg_scale":7.0,"sampler":"default",
          "scheduler":"default","strength":0.0,"init_image":null,"mask_image":null,"mask_feather":0,
          "loras":[]}',
        42, 2, 1, 0, 0, NULL, NULL, NULL, NULL, 1790000000000, NULL, NULL);
      INSERT INTO images VALUES (9, 5, 0, 'published', 42, 'run_20261124_091530/a.png', 3, 100, 1, '', 'synthetic', '1',
        'virtual-0', 1.5, 512, 512, 1790000000500);
      INSERT INTO images VALUES (10, 5, 1, 'pending', 43, 'run_20261124_091530/b.png', NULL, 0, 1, '', '', '',
        '', 0.0, 512, 512, NULL);
      INSERT INTO settings VALUES ('multi_gpu.enabled', 'true');
      INSERT INTO events VALUES (77, 'job.created', 1790000000000, '{}');
      INSERT INTO uploads VALUES (2, 'uploads/2.png', 'image/png', 64, 64, 10, 1790000000000);)sql"));
  }
  auto store = open_store(directory_.path());
  const auto restored = store->restore();
  ASSERT_TRUE(restored) << restored.error().message;
  ASSERT_THAT(restored->open_jobs, SizeIs(1));
  EXPECT_EQ(restored->open_jobs[0].job.settings.model, "demo-city");
  EXPECT_EQ(restored->open_jobs[0].job.published, 1);
  ASSERT_THAT(restored->open_jobs[0].images, SizeIs(2));
  EXPECT_EQ(restored->open_jobs[0].images[0].state, ImageState::published);
  EXPECT_EQ(restored->counts.queued, 1);
  EXPECT_EQ(restored->settings.at("multi_gpu.enabled"), "true");
  EXPECT_EQ(restored->last_seq, 77);
  EXPECT_EQ(restored->last_upload, UploadId(2));
}

TEST_F(SchemaTest, LaterMigrationsRunOnceAndInOrder) {
  const std::vector<Migration> all = {{1, "CREATE TABLE a(x)"},
                                      {2, "ALTER TABLE a ADD COLUMN y; INSERT INTO a VALUES (1, 2)"},
                                      {3, "UPDATE a SET y = y * 10"}};
  auto connection = open_connection(file_);
  ASSERT_TRUE(migrate(*connection, std::span(all).first(2)));
  ASSERT_TRUE(migrate(*connection, all));
  ASSERT_TRUE(migrate(*connection, all));
  EXPECT_EQ(*connection->ask("SELECT group_concat(y) FROM a"), "20");
  EXPECT_EQ(*connection->ask("PRAGMA user_version"), "3");
}

TEST_F(SchemaTest, AMigrationThatFailsLeavesTheVersionBefore) {
  const std::vector<Migration> all = {{1, "CREATE TABLE a(x)"},
                                      {2, "CREATE TABLE b(x); INSERT INTO missing VALUES (1)"}};
  auto connection = open_connection(file_);
  const auto failed = migrate(*connection, all);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("while migrating to schema version 2"));
  EXPECT_EQ(*connection->ask("PRAGMA user_version"), "1");
  EXPECT_EQ(*connection->ask("SELECT group_concat(name) FROM sqlite_schema"), "a");
}

TEST_F(SchemaTest, AFileOfANewerProgramIsRefusedAndLeftAsItIs) {
  open_store(directory_.path());
  ASSERT_TRUE(open_connection(file_)->execute("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)"));
  const std::string before = bytes_of(file_);
  const Error error = refusal();
  EXPECT_EQ(error.code, ErrorCode::conflict);
  EXPECT_THAT(error.message, AllOf(HasSubstr("schema version 99"), HasSubstr("knows versions up to 1"),
                                   HasSubstr("--data"), HasSubstr(file_.native())));
  EXPECT_EQ(bytes_of(file_), before);
}

TEST_F(SchemaTest, ADatabaseOfAnotherProgramIsRefusedAndLeftAsItIs) {
  ASSERT_TRUE(open_connection(file_)->execute("CREATE TABLE notes(x)"));
  const std::string before = bytes_of(file_);
  const Error error = refusal();
  EXPECT_EQ(error.code, ErrorCode::conflict);
  EXPECT_THAT(error.message, HasSubstr("database of another program"));
  EXPECT_EQ(bytes_of(file_), before);
}

TEST_F(SchemaTest, AFileThatIsNoDatabaseIsCalledDamagedWithWhatToDo) {
  std::ofstream(file_) << std::string(8192, 'x');
  const Error error = refusal();
  EXPECT_EQ(error.code, ErrorCode::corrupt);
  EXPECT_THAT(error.message, AllOf(HasSubstr(file_.native()), HasSubstr("is damaged"), HasSubstr("backup")));
}

TEST_F(SchemaTest, ADamagedPageIsFoundAtOpen) {
  {
    auto store = open_store(directory_.path());
    std::vector<control::Change> changes = {make_run(1)};
    for (std::int64_t id = 1; id <= 50; ++id) changes.emplace_back(make_job(id, 1, 3));
    expect_commit(*store, changes);
  }
  std::string bytes = bytes_of(file_);
  for (std::size_t i = bytes.size() / 2; i < bytes.size() / 2 + 8192; ++i) bytes[i] = static_cast<char>(0xA5);
  std::ofstream(file_, std::ios::binary) << bytes;
  EXPECT_EQ(refusal().code, ErrorCode::corrupt);
}

TEST_F(SchemaTest, AMissingIndexIsFoundAtOpenOfABigFileToo) {
  open_store(directory_.path());
  ASSERT_TRUE(open_connection(file_)->execute("DROP INDEX images_published"));
  Options options = small_options();
  options.check_bytes_max = 0;
  const auto store = Store::open(directory_.path(), options);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::corrupt);
  EXPECT_THAT(store.error().message, HasSubstr("images_published"));
}

TEST_F(SchemaTest, ADataDirectoryThatCannotBeMadeIsNamedWithTheNextStep) {
  std::ofstream(directory_.path() / "file") << "x";
  const auto store = Store::open(directory_.path() / "file" / "data", small_options());
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().message, AllOf(HasSubstr("cannot create the data directory"), HasSubstr("--data")));
}

TEST_F(SchemaTest, AReadOnlyDirectoryIsPermissionDenied) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  ::chmod(directory_.path().c_str(), 0500);
  const Error error = refusal();
  ::chmod(directory_.path().c_str(), 0700);
  EXPECT_EQ(error.code, ErrorCode::permission_denied);
  EXPECT_THAT(error.message, AllOf(HasSubstr(directory_.path().native()), HasSubstr("make it writable for this user")));
}

}  // namespace
}  // namespace pixelfleet::store
