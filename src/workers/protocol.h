// The words between server and worker: every message as a struct, and its JSON form.
//
// One JSON object a frame with the member "type"; pixels travel beside it in a sealed memfd. Decoding trusts nothing:
// every field is required and range-checked, texts for people are cut to a length, and the first breach is named in
// the error. decode(encode(x)) == x for every message within the ranges.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "domain/live.h"
#include "domain/model.h"

namespace pixelfleet::workers::protocol {

inline constexpr int kVersion = 2;
// Images handed over and not yet acknowledged; a worker waits, a server ends a worker that does not.
inline constexpr int kMaxUnacknowledged = 2;

// --- server -> worker -----------------------------------------------------------------------------------------

struct Load {
  struct Part {
    std::string role;
    std::string file;
    friend bool operator==(const Part&, const Part&) = default;
  };
  std::string model;
  std::string engine;
  std::vector<Part> parts;
  std::optional<DemoTraits> demo;
  std::string plugin;          // path of the engine plug-in
  std::string engine_library;  // path of what the plug-in opens itself; may be empty
  double time_scale = 1;
  std::string gpu;  // UUID
  std::string gpu_kind;
  int gpu_index = 0;
  friend bool operator==(const Load&, const Load&) = default;
};

// A picture that the next chunk starts from: a file, open for reading, travels beside it.
struct Input {
  std::int64_t chunk_id = 0;
  std::string role;  // init_image, mask_image
  friend bool operator==(const Input&, const Input&) = default;
};

struct Run {
  struct Image {
    int index = 0;
    std::int64_t seed = 0;
    friend bool operator==(const Image&, const Image&) = default;
  };
  std::int64_t chunk_id = 0;
  std::int64_t attempt = 0;
  std::string prompt;
  std::string negative_prompt;
  int width = 0;  // to generate
  int height = 0;
  int published_width = 0;  // what is cut out of its centre
  int published_height = 0;
  int steps = 0;
  double cfg_scale = 0;
  std::string sampler;
  std::string scheduler;
  std::string mode;  // txt2img, img2img, inpaint
  double strength = 0;
  int mask_feather = 0;
  std::vector<Image> images;
  int preview_every_ms = 0;  // 0: no previews
  friend bool operator==(const Run&, const Run&) = default;
};

struct Cancel {
  std::int64_t chunk_id = 0;
  friend bool operator==(const Cancel&, const Cancel&) = default;
};
struct Ack {
  std::int64_t chunk_id = 0;
  int index = 0;
  friend bool operator==(const Ack&, const Ack&) = default;
};
struct Shutdown {
  friend bool operator==(const Shutdown&, const Shutdown&) = default;
};

using ToWorker = std::variant<Load, Input, Run, Cancel, Ack, Shutdown>;

// --- worker -> server -----------------------------------------------------------------------------------------

struct Hello {
  int protocol = kVersion;
  int pid = 0;
  std::string build;
  std::string sandbox;  // full, partial, none
  friend bool operator==(const Hello&, const Hello&) = default;
};
struct LoadProgress {
  double ratio = 0;
  friend bool operator==(const LoadProgress&, const LoadProgress&) = default;
};
struct Ready {
  std::string engine;
  std::string engine_version;
  std::string generation;
  std::string cancel;  // step, kill, none
  bool preview = false;
  bool img2img = false;
  bool inpaint = false;
  bool lora = false;
  std::int64_t device_bytes = 0;
  std::int64_t host_bytes = 0;
  double load_seconds = 0;
  friend bool operator==(const Ready&, const Ready&) = default;
};
// bad_request, out_of_memory, model_unreadable, engine_error, invalid_output or protocol, words, the engine's last
// error lines.
struct Failure {
  std::string failure_class;
  std::string message;
  std::vector<std::string> lines;
  friend bool operator==(const Failure&, const Failure&) = default;
};
struct LoadFailed {
  Failure failure;
  friend bool operator==(const LoadFailed&, const LoadFailed&) = default;
};
struct Progress {
  std::int64_t chunk_id = 0;
  int index = 0;
  Phase phase = Phase::load;
  int step = 0;
  int steps = 0;
  friend bool operator==(const Progress&, const Progress&) = default;
};
struct Preview {  // with RGB8 pixels
  std::int64_t chunk_id = 0;
  int index = 0;
  int step = 0;
  int steps = 0;
  int width = 0;
  int height = 0;
  friend bool operator==(const Preview&, const Preview&) = default;
};
struct Image {  // with RGB8 pixels
  std::int64_t chunk_id = 0;
  std::int64_t attempt = 0;
  int index = 0;
  std::int64_t seed = 0;
  int width = 0;
  int height = 0;
  double seconds = 0;
  friend bool operator==(const Image&, const Image&) = default;
};
struct ChunkDone {
  std::int64_t chunk_id = 0;
  std::string outcome;  // done, cancelled, failed
  Failure failure;      // of failed
  friend bool operator==(const ChunkDone&, const ChunkDone&) = default;
};

using FromWorker = std::variant<Hello, LoadProgress, Ready, LoadFailed, Progress, Preview, Image, ChunkDone>;

std::string encode(const ToWorker& message);
std::string encode(const FromWorker& message);
Result<ToWorker> decode_to_worker(std::string_view text);
Result<FromWorker> decode_from_worker(std::string_view text);

// A demo model's traits as the JSON object that the engine interface takes.
std::string demo_text(const DemoTraits& demo);

}  // namespace pixelfleet::workers::protocol
