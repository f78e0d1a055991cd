#include "store/history.h"

#include <algorithm>
#include <utility>

#include "store/reader_pool_internal.h"
#include "store/store.h"

namespace pixelfleet::store {
namespace {

constexpr std::size_t kPage = 1000;  // a read transaction is short: it holds up the write-ahead log

}  // namespace

Result<std::vector<Job>> read_history(const std::filesystem::path& data_directory, std::size_t limit) {
  std::vector<Job> jobs;
  const std::filesystem::path file = database_file(data_directory);
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return jobs;
  auto connection = Connection::open(file, Connection::Role::reader, "");
  if (!connection) return fail(std::move(connection.error()));
  while (jobs.size() < limit) {
    control::JobQuery query;
    query.limit = std::min(kPage, limit - jobs.size());
    if (!jobs.empty()) query.after = jobs.back().id;
    auto page = find_jobs(**connection, query);
    if (!page) return page;
    const bool last = page->size() < query.limit;
    std::move(page->begin(), page->end(), std::back_inserter(jobs));
    if (last) break;
  }
  return jobs;
}

}  // namespace pixelfleet::store
