#include "control/acceptance.h"

#include <utility>

#include "base/format.h"
#include "domain/output_name.h"

namespace pixelfleet::control {
namespace {

template <class Id>
Id take(Id& next) {
  return std::exchange(next, Id{next.value + 1});
}

// The random base leaves room for seed + index below the limit.
std::int64_t draw_seed(Rng& rng, int count) {
  return static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(limits::kMaxSeed - count + 1)));
}

}  // namespace

Acceptance::Acceptance(StorePort& store, std::filesystem::path output_directory, NextIds next, std::uint64_t seed)
    : store_(store), output_directory_(std::move(output_directory)), next_(next), rng_(seed) {}

Result<Accepted> Acceptance::accept(const std::vector<JobSpec>& specs, const Catalog& catalog, Instant now) {
  if (specs.empty() || specs.size() > limits::kMaxJobsPerRequest) {
    return fail(invalid_fields({{"jobs", format("{} jobs", specs.size()), "out of range",
                                 format("1 to {} jobs in one request", limits::kMaxJobsPerRequest)}}));
  }
  std::vector<ResolvedJob> resolved;
  std::vector<FieldError> errors;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    auto one = resolve(specs[i], catalog);
    if (one) one = with_input_files(std::move(*one));
    if (one) {
      resolved.push_back(std::move(*one));
      continue;
    }
    for (FieldError& field : one.error().fields) {
      if (specs.size() > 1) field.field = format("jobs[{}].{}", i, field.field);
      errors.push_back(std::move(field));
    }
  }
  if (!errors.empty()) return fail(invalid_fields(std::move(errors)));

  Accepted accepted;
  accepted.run = {take(next_.run), free_run_directory(now), now};
  std::set<std::string> taken_names;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const Model* model = catalog.find_model(resolved[i].settings.model);
    accepted.entries.push_back(make_entry(specs[i], std::move(resolved[i]), accepted.run, *model, taken_names, now));
  }
  return accepted;
}

Result<ResolvedJob> Acceptance::with_input_files(ResolvedJob resolved) const {
  std::vector<FieldError> errors;
  const auto find = [&](const char* field, std::optional<InputPicture>& input) {
    if (!input) return;
    if (auto upload = store_.load_upload(input->upload)) {
      input->file = std::move(upload->file);
    } else {
      errors.push_back({field, format("{}", input->upload.value), upload.error().message,
                        "the id of a picture that POST /api/v1/uploads answered"});
    }
  };
  find("init_image", resolved.settings.init_image);
  find("mask_image", resolved.settings.mask_image);
  if (!errors.empty()) return fail(invalid_fields(std::move(errors)));
  return resolved;
}

std::string Acceptance::free_run_directory(Instant now) {
  const std::string base = run_directory(RunKind::run, now);
  if (base != last_base_) {
    last_base_ = base;
    next_suffix_ = 1;
  }
  while (true) {
    std::string candidate = with_collision_suffix(base, next_suffix_++);
    std::error_code ignored;
    // The store knows accepted runs, the disk knows what an earlier data directory left behind.
    if (!store_.run_directory_taken(candidate) && !std::filesystem::exists(output_directory_ / candidate, ignored)) {
      return candidate;
    }
  }
}

Accepted::Entry Acceptance::make_entry(const JobSpec& spec, ResolvedJob resolved, const Run& run, const Model& model,
                                       std::set<std::string>& taken_names, Instant now) {
  Accepted::Entry entry;
  Job& job = entry.job;
  job.id = take(next_.job);
  job.run_id = run.id;
  job.requested = spec;
  job.settings = std::move(resolved.settings);
  job.warnings = std::move(resolved.warnings);
  job.seed_base = spec.seed >= 0 ? spec.seed : draw_seed(rng_, spec.count);
  job.run_dir = run.directory;
  job.created_at = now;
  for (int index = 0; index < spec.count; ++index) {
    Image image;
    image.id = take(next_.image);
    image.job_id = job.id;
    image.index = index;
    image.seed = job.seed_base + index;
    image.demo = model.is_demo();
    const std::string name = image_file_name(now, job.settings.profile, spec.prompt, image.seed, index);
    std::string file = name;
    for (int n = 2; !taken_names.insert(file).second; ++n) file = with_collision_suffix(name, n);
    image.path = run.directory + "/" + file;
    entry.images.push_back(std::move(image));
  }
  return entry;
}

}  // namespace pixelfleet::control
