// Rows <-> nouns: which column holds what. Reading follows the column lists of queries.h.
#pragma once

#include <span>
#include <string>

#include "control/ports.h"
#include "store/connection_internal.h"

namespace pixelfleet::store {

// The stored text of each JSON column. A Call binds views, so the texts must outlive it.
struct JobTexts {
  std::string requested;
  std::string settings;
  std::optional<std::string> error;
  std::optional<std::string> warnings;
};
JobTexts texts_of(const Job& job);
std::string text_of(const JobError& error);
std::string text_of(std::span<const int> indices);

void bind_job(Call& call, const Job& job, const JobTexts& texts);
void bind_image(Call& call, const Image& image);

// A row that does not parse is corrupt: this program wrote it.
Result<Job> read_job(Row row);
Result<Image> read_image(Row row);
control::Upload read_upload(Row row);
EventPtr read_event(Row row);
Result<control::GpuStateRow> read_gpu_state(Row row);
Result<control::DisabledModel> read_disabled_model(Row row);

// Adds one row of job_counts.
Result<> add_count(JobCounts& counts, Row row);

}  // namespace pixelfleet::store
