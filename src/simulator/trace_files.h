// Trace files: what the simulator reads from outside: jobs (CSV), models (CSV), a machine (TXT), a gpu specification.
//
//   jobs     arrival_s,user,model,images,steps[,pixels][,lora_set][,priority]   columns in any order, rows too
//   models   model,family,gigabytes                                             model counts up from 0
//   machine  one gpu type a line, then `host_gigabytes N` and `disk_gigabytes_per_second X`
//
// Whatever is wrong is told with file, line, column and what is allowed, up to kMaxReportedErrors of them at once.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "domain/gpu.h"
#include "simulator/trace.h"

namespace pixelfleet::simulator {

// The rows of machine.cc's table.
inline constexpr std::array<std::string_view, 4> kTraceFamilies = {"SD15", "SDXL", "SD35L", "FLUX8"};
inline constexpr std::array<std::string_view, 5> kTraceGpuTypes = {"H100-80", "A100-80", "A100-40", "4090-24",
                                                                   "V100-16"};

inline constexpr std::size_t kMaxTraceFileBytes = 100'000'000;
inline constexpr std::size_t kMaxTraceJobs = 2'000'000;
inline constexpr int kMaxTraceModels = 10'000;
inline constexpr std::size_t kMaxTraceGpus = 64;
inline constexpr std::size_t kMaxReportedErrors = 10;

// `file` names the text in messages.
Result<std::vector<TraceModel>> parse_models(std::string_view text, const std::string& file);
Result<MachineSpec> parse_machine(std::string_view text, const std::string& file);
// By arrival; equal arrivals keep the order of the file. Models must be below `model_count`.
Result<std::vector<TraceJob>> parse_jobs(std::string_view text, const std::string& file, int model_count);

// The whole text of a regular file within kMaxTraceFileBytes.
Result<std::string> read_trace_text(const std::string& path);

struct TraceFiles {
  std::string jobs;
  std::string models;
  std::string machine;
};
// Trace::name is the jobs file's name without folder and ending.
Result<Trace> read_trace_files(const TraceFiles& files);

// Real or specified gpus as types of the table, by the card's name and memory; a gpu without a card's name and with
// about 24 GB counts as a 4090-24.
Result<std::vector<std::string>> gpu_types_of(const std::vector<Gpu>& gpus);
// Such as H100+2x4090 (domain/gpu_spec.h); host memory and disk are MachineSpec's defaults.
Result<MachineSpec> machine_of_spec(std::string_view gpu_spec);

}  // namespace pixelfleet::simulator
