// Model: one checkpoint of the catalogue, its parts, defaults and limits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/ids.h"

namespace pixelfleet {

enum class PartRole { checkpoint, diffusion, clip_l, clip_g, t5xxl, llm, vae, taesd };

struct ModelPart {
  PartRole role = PartRole::checkpoint;
  std::string file;  // absolute path
  std::int64_t bytes = 0;
  std::string hash;  // sha256 in hex; empty until computed

  friend bool operator==(const ModelPart&, const ModelPart&) = default;
};

struct ModelDefaults {
  int width = 512;
  int height = 512;
  int steps = 20;
  double cfg_scale = 7.0;
  std::string sampler = "default";
  std::string scheduler = "default";

  friend bool operator==(const ModelDefaults&, const ModelDefaults&) = default;
};

// A model may narrow the domain's limits. size_multiple is the engine's: 64 for UNets, 16 for DiT families.
struct ModelLimits {
  int min_side = 64;
  int max_side = 4096;
  int max_steps = 200;
  int size_multiple = 64;

  friend bool operator==(const ModelLimits&, const ModelLimits&) = default;
};

// How the synthetic engine shall behave for a demo model, at time scale 1.
struct DemoTraits {
  double load_seconds = 4.0;
  double step_seconds = 0.05;
  std::string scene;   // landscape, portrait, city, abstract ...
  std::string faults;  // a fault script for tests; empty: none

  friend bool operator==(const DemoTraits&, const DemoTraits&) = default;
};

enum class ModelState { installed, not_installed, unloadable };

struct Model {
  ModelKey key;
  std::string title;
  std::string family;  // sd1, sd2, sdxl ... or demo
  std::string engine;  // sdcpp or synthetic
  ModelState state = ModelState::installed;
  std::string reason;  // why it is not installed or not loadable, and the next step
  std::string hub_id;  // repository id by which a cached download is recognised
  std::vector<ModelPart> parts;
  ModelDefaults defaults;
  ModelLimits limits;
  std::int64_t memory_bytes = 0;     // weights and activations on a gpu: what the ledger reserves
  std::int64_t workspace_bytes = 0;  // of these, in use only while a picture is made: one a gpu, whatever it holds
  std::optional<DemoTraits> demo;

  bool is_demo() const { return demo.has_value(); }
  std::int64_t file_bytes() const;

  friend bool operator==(const Model&, const Model&) = default;
};

std::string_view name(PartRole role);
std::string_view name(ModelState state);
std::optional<PartRole> part_role_from(std::string_view text);

}  // namespace pixelfleet
