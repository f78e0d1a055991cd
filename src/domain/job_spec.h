// JobSpec: what a client asked for, every job key of the product; and its limits.
//
// An absent optional means "the profile's, the model's or the program's default"; resolve.h fills it in.
// The JSON keys, SQL columns and TypeScript fields carry the same names (job_json.h).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/ids.h"

namespace pixelfleet {

enum class Priority { interactive, normal, background };
enum class Mode { txt2img, img2img, inpaint };
// Who wins where both the request and the profile name steps or a sampler.
enum class KeepMine { request_wins, profile_wins };

struct LoraRef {
  std::string name;
  double weight = 1.0;

  friend bool operator==(const LoraRef&, const LoraRef&) = default;
};

struct JobSpec {
  std::string prompt;
  std::string negative_prompt;
  std::string model;    // key or title; empty: the catalogue's default model
  std::string profile;  // key, title or alias; empty: None / Raw
  Mode mode = Mode::txt2img;
  std::optional<int> width;
  std::optional<int> height;
  std::optional<int> steps;
  std::optional<double> cfg_scale;
  std::optional<std::string> sampler;
  std::optional<std::string> scheduler;
  std::int64_t seed = -1;  // -1: random; image i (from 0) uses seed + i
  int count = 1;
  std::optional<double> strength;
  std::optional<UploadId> init_image;
  std::optional<UploadId> mask_image;  // white: is made anew
  std::optional<int> mask_feather;     // pixels over which what is made anew runs into what stays
  std::vector<LoraRef> loras;
  Priority priority = Priority::normal;
  double rank = 0.0;               // manual order within one priority; lower runs first
  std::optional<std::string> gpu;  // pin to the gpu with this UUID
  std::string owner = "local";
  std::optional<SweepId> sweep_id;
  std::optional<CampaignId> campaign_id;
  bool allow_smaller = false;
  KeepMine keep_mine = KeepMine::request_wins;
  std::map<std::string, std::string> labels;

  friend bool operator==(const JobSpec&, const JobSpec&) = default;
};

// The domain's limits; v17's narrower ranges belong to headless mode and the form.
namespace limits {
inline constexpr int kMinSide = 64;
inline constexpr int kMaxSide = 4096;
inline constexpr int kMinSteps = 1;
inline constexpr int kMaxSteps = 200;
inline constexpr double kMinCfgScale = 0.0;
inline constexpr double kMaxCfgScale = 30.0;
inline constexpr int kMinCount = 1;
inline constexpr int kMaxCount = 1000;
inline constexpr std::size_t kMaxPromptBytes = 8192;
inline constexpr std::int64_t kMaxSeed = 0xFFFF'FFFF;  // the engine's and A1111's seeds are 32 bits wide
inline constexpr double kMinStrength = 0.01;
inline constexpr double kMaxStrength = 1.0;
inline constexpr int kMaxMaskFeather = 256;
inline constexpr std::size_t kMaxLoras = 16;
inline constexpr std::size_t kMaxLabels = 32;
inline constexpr std::size_t kMaxNameBytes = 256;
inline constexpr std::size_t kMaxJobsPerRequest = 1000;
}  // namespace limits

std::string_view name(Priority priority);
std::string_view name(Mode mode);
std::optional<Priority> priority_from(std::string_view text);
std::optional<Mode> mode_from(std::string_view text);

}  // namespace pixelfleet
