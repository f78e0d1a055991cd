// The line of jobs_{INSTANCE_ID}.log: one JSON object for each job that ended.
//
// Keys and meanings are those of the v17 lab, whose users have scripts that read them; ours come after. Where names
// clash, v17's meaning counts here: `scheduler` is our sampler (by its label), `model_key` the model's title.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "domain/job.h"
#include "domain/model.h"

namespace pixelfleet::media {

struct LogContext {
  std::string output_directory;  // absolute: `paths` and `run_dir` are below it
  std::string instance_id;
  Instant logged_at;
};

// The file's name in the output directory; characters that do not belong in a name become '_'.
std::string job_log_file(const std::string& instance_id);

// With the line's end. `model` may be null when it has left the catalogue. Images that were not published are left out.
std::string job_log_line(const Job& job, const std::vector<Image>& images, const Model* model,
                         const LogContext& context);

}  // namespace pixelfleet::media
