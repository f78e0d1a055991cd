// Job, its images and its states: one durable request and what became of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "domain/ids.h"
#include "domain/job_spec.h"

namespace pixelfleet {

enum class JobState { queued, held, running, done, failed, cancelled };
enum class HeldReason { user, paused, model_disabled, no_gpu, window, quota };

// A picture that a job starts from.
struct InputPicture {
  UploadId upload;
  std::string file;  // relative to the data directory; known once the job is accepted

  friend bool operator==(const InputPicture&, const InputPicture&) = default;
};

// The concrete values a job runs with: request, profile, model and defaults merged (resolve.h). Immutable once
// accepted.
struct JobSettings {
  std::string prompt;           // with the profile's suffix
  std::string negative_prompt;  // with the profile's negative suffix
  ModelKey model;
  std::string profile;
  Mode mode = Mode::txt2img;
  int width = 0;  // of the published picture
  int height = 0;
  int generate_width = 0;  // what the engine makes: aligned up to its multiple, then cropped centred
  int generate_height = 0;
  int steps = 0;
  double cfg_scale = 0.0;
  std::string sampler;    // an engine's name, or "default"
  std::string scheduler;  // likewise
  double strength = 0.0;  // of img2img and inpaint: how much of the input is made anew
  std::optional<InputPicture> init_image;
  std::optional<InputPicture> mask_image;
  int mask_feather = 0;
  std::vector<LoraRef> loras;

  // What the engine does of `steps`: an input saves it the first ones.
  int sampled_steps() const;

  friend bool operator==(const JobSettings&, const JobSettings&) = default;
};

// Why a job failed: a class that programs can branch on, words for people, and the last lines of evidence.
struct JobError {
  std::string code;  // a failure class of the worker protocol: bad_request, out_of_memory, engine_died ...
  std::string message;
  std::vector<std::string> evidence;

  friend bool operator==(const JobError&, const JobError&) = default;
};

// What actually made one image, kept for ever beside what was asked.
struct EffectiveImage {
  std::string model_hash;
  std::string engine;
  std::string engine_version;
  GpuUuid gpu;
  double seconds = 0.0;
  int width = 0;
  int height = 0;
};

enum class ImageState { pending, published };

struct Image {
  ImageId id;
  JobId job_id;
  int index = 0;  // from 0
  ImageState state = ImageState::pending;
  std::int64_t seed = 0;
  std::string path;  // relative to the output directory; decided at acceptance, unique
  std::int64_t bytes = 0;
  bool demo = false;  // made by the synthetic engine
  EffectiveImage effective;
  std::optional<Instant> published_at;
};

struct Job {
  JobId id;
  RunId run_id;
  JobState state = JobState::queued;
  std::optional<HeldReason> held_reason;
  JobSpec requested;
  JobSettings settings;
  std::int64_t seed_base = 0;
  int published = 0;
  int worker_deaths = 0;  // workers that died while running it; kMaxWorkerDeaths ends it
  // Somebody asked to cancel it: a running job goes on until its worker lets go. Stays true once the job has ended,
  // which may also be as done, when the last picture was on its way already.
  bool cancel_requested = false;
  std::optional<JobError> error;
  std::vector<std::string> warnings;
  std::string run_dir;  // relative to the output directory
  Instant created_at;
  std::optional<Instant> started_at;
  std::optional<Instant> finished_at;

  bool ended() const { return state == JobState::done || state == JobState::failed || state == JobState::cancelled; }
  // Ended with some of its images, not all.
  bool partial() const { return ended() && published > 0 && published < requested.count; }
};

// A job that kills this many workers is the one at fault and becomes failed with the evidence.
inline constexpr int kMaxWorkerDeaths = 3;

std::string_view name(JobState state);
std::string_view name(HeldReason reason);
std::string_view name(ImageState state);
std::optional<JobState> job_state_from(std::string_view text);
std::optional<HeldReason> held_reason_from(std::string_view text);

}  // namespace pixelfleet
