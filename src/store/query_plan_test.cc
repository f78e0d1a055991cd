// Every statement of queries.h goes through an index: nothing that grows with the number of jobs is scanned or sorted.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "store/connection_internal.h"
#include "store/queries.h"
#include "store/test_support_internal.h"

namespace pixelfleet::store {
namespace {

class QueryPlanTest : public ::testing::Test {
 protected:
  void SetUp() override {
    open_store(directory_.path());
    ASSERT_EQ(sqlite3_open(database_file(directory_.path()).c_str(), &database_), SQLITE_OK);
  }
  void TearDown() override { sqlite3_close(database_); }

  std::vector<std::string> plan_of(const std::string& sql) {
    std::vector<std::string> lines;
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v2(database_, ("EXPLAIN QUERY PLAN " + sql).c_str(), -1, &statement, nullptr);
    EXPECT_EQ(code, SQLITE_OK) << sqlite3_errmsg(database_) << ": " << sql;
    while (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
      lines.emplace_back(reinterpret_cast<const char*>(sqlite3_column_text(statement, 3)));
    }
    sqlite3_finalize(statement);
    return lines;
  }

  TemporaryDirectory directory_;
  sqlite3* database_ = nullptr;
};

bool is_slow(const std::string& line, Reads reads) {
  if (line.find("TEMP B-TREE") != std::string::npos || line.find("AUTOMATIC") != std::string::npos) return true;
  if (line.rfind("SCAN", 0) != 0 || line == "SCAN CONSTANT ROW") return false;
  // Partial indexes hold only what is wanted: reading one from end to end is the point.
  if (line.find("attempts_open") != std::string::npos) return false;
  return reads == Reads::through_index;
}

TEST_F(QueryPlanTest, NoStatementScansOrSorts) {
  for (const QueryText& text : kQueries) {
    for (const std::string& line : plan_of(text.sql)) {
      EXPECT_FALSE(is_slow(line, text.reads)) << line << "\n  in " << text.sql;
    }
  }
}

TEST_F(QueryPlanTest, TheTestSeesScansAndSorts) {
  const auto slow = [&](const std::string& sql) {
    const auto plan = plan_of(sql);
    return std::any_of(plan.begin(), plan.end(),
                       [](const std::string& line) { return is_slow(line, Reads::through_index); });
  };
  EXPECT_TRUE(slow("SELECT * FROM jobs WHERE owner = 'x'"));
  EXPECT_TRUE(slow("SELECT count(*) FROM jobs"));
  EXPECT_TRUE(slow("SELECT id FROM jobs WHERE state IN ('done', 'failed') ORDER BY id DESC LIMIT 1"));
}

// A range on the key alone would walk over all pending images, or over other states, to fill a page.
TEST_F(QueryPlanTest, PagesSeekOnBothStateAndKey) {
  const auto plan = [&](Query query) { return plan_of(kQueries[static_cast<std::size_t>(query)].sql).at(0); };
  EXPECT_EQ(plan(Query::job_ids_in_state), "SEARCH jobs USING COVERING INDEX jobs_by_state (state=? AND id<?)");
  EXPECT_EQ(plan(Query::published_images), "SEARCH images USING INDEX images_published (id<?)");
  EXPECT_EQ(plan(Query::published_images_of_job),
            "SEARCH images USING INDEX images_published_of_job (job_id=? AND id<?)");
  EXPECT_EQ(plan(Query::job_ids), "SEARCH jobs USING INTEGER PRIMARY KEY (rowid<?)");
}

}  // namespace
}  // namespace pixelfleet::store
