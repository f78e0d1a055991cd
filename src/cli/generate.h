// `pixelfleet generate` and HEADLESS=true: submit jobs, follow them, say what came out.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "cli/hooks.h"

namespace pixelfleet::cli {

enum class Output { text, json };

// Pictures on this machine that a job starts from: its keys (init_image, mask_image) and their files.
using InputFiles = std::map<std::string, std::string>;

// Checks the jobs by the API's rules before any server starts, then talks to the running server of the data directory
// or to a private one. `inputs` are uploaded first and become every job's. Prints the path of each picture to stdout;
// 0 when every image was made.
int generate(const Config& config, const std::vector<Json>& jobs, const InputFiles& inputs, Output output,
             const Hooks& hooks);

// The mode that a job with such files has.
std::string mode_of(const InputFiles& inputs);

// A job object from texts as typed: numbers become numbers, everything else is left for the validator to judge.
Json job_from_texts(const std::map<std::string, std::string>& texts);

// The job of the v17 variables (docs: headless), with v17's defaults and ranges.
Result<Json> headless_job(const Environment& environment);

}  // namespace pixelfleet::cli
