// Plugin and Engine: the C interface of abi.h as C++ values; how a worker opens an engine, loads its model, makes
// images.
//
// A plug-in's library is never closed again (engines leave threads of their own in it). An Engine serves one thread;
// only `cancel` may be called from others. Exceptions of a Sink are programmer's mistakes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "engine/abi.h"

namespace pixelfleet::engine {

enum class FailureClass { bad_request, out_of_memory, model_unreadable, engine_error, invalid_output };
enum class Phase { load, text, sample, decode };
enum class LogLevel { debug, info, warn, error };
enum class CancelSupport { none, step, kill };

// The words of the worker protocol.
std::string_view name(FailureClass failure_class);
std::string_view name(Phase phase);
std::string_view name(CancelSupport cancel);

struct Failure {
  FailureClass failure_class = FailureClass::engine_error;
  std::string message;
  std::vector<std::string> lines;  // the engine's last error lines
};

struct Cancelled {};

struct Capabilities {
  CancelSupport cancel = CancelSupport::none;
  bool preview = false;
  bool img2img = false;
  bool inpaint = false;
  bool lora = false;
};

struct Info {
  std::string engine;
  std::string version;
  std::string generation;
  Capabilities capabilities;
  std::vector<std::string> samplers;
  std::vector<std::string> schedulers;
};

struct Options {
  std::string library = {};         // libstable-diffusion.so; empty where the engine needs none
  std::string device_kind = "cpu";  // "cpu", "nvidia", "amd", "virtual"
  int threads = 0;                  // 0 = as the engine thinks best
  double time_scale = 1;            // divides the times of demo models
};

struct ModelSpec {
  std::string key;
  std::vector<std::pair<std::string, std::string>> parts;  // role, file
  std::string demo;                                        // JSON object of a demo model; empty for real ones
};

struct Loaded {
  std::uint64_t device_bytes = 0;  // 0 = unknown
  std::uint64_t host_bytes = 0;
  double load_seconds = 0;
};

struct Request {
  std::uint64_t ticket = 1;  // what `cancel` names; not 0
  std::string prompt;
  std::string negative_prompt;
  int width = 512;
  int height = 512;
  int steps = 20;
  double cfg_scale = 7;
  std::string sampler = "default";
  std::string scheduler = "default";
  std::int64_t seed = 0;
  // Rows without gaps, of the size above; empty where the picture starts from nothing. Owned by the caller.
  std::span<const std::uint8_t> init_rgb = {};
  std::span<const std::uint8_t> mask = {};  // a byte a pixel: 255 is made anew
  double strength = 1;                      // how much of init_rgb is made anew
  int preview_every_ms = 0;                 // 0 = none
};

// Where load and generate report to, during the call.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void progress(Phase /*phase*/, int /*step*/, int /*steps*/) {}
  // RGB8 rows without gaps, valid during the callback.
  virtual void preview(int /*step*/, int /*steps*/, std::uint32_t /*width*/, std::uint32_t /*height*/,
                       const std::uint8_t* /*rgb*/) {}
  virtual void log(LogLevel /*level*/, std::string_view /*line*/) {}
};

// A finished image; its pixels belong to the plug-in and go back to it with this object, which must not outlive the
// Engine.
class Picture {
 public:
  Picture(const PfEngineApi* api, PfEngine* engine, const PfImage& image) : api_(api), engine_(engine), image_(image) {}
  ~Picture();
  Picture(Picture&& other) noexcept;
  Picture& operator=(Picture&& other) = delete;

  std::uint32_t width() const { return image_.width; }
  std::uint32_t height() const { return image_.height; }
  double seconds() const { return image_.seconds; }
  const std::uint8_t* rgb() const { return image_.rgb; }
  std::size_t size_bytes() const { return std::size_t{3} * image_.width * image_.height; }

 private:
  const PfEngineApi* api_;
  PfEngine* engine_;
  PfImage image_;
};

class Engine {
 public:
  Engine(const PfEngineApi* api, PfEngine* engine);
  ~Engine();
  Engine(Engine&& other) noexcept;
  Engine& operator=(Engine&& other) = delete;

  const Info& info() const { return *info_; }
  // Once for each engine.
  std::variant<Loaded, Failure> load(const ModelSpec& model, Sink& sink);
  std::variant<Picture, Cancelled, Failure> generate(const Request& request, Sink& sink);
  // Any thread: the image with this ticket, running or asked for later, ends as Cancelled.
  void cancel(std::uint64_t ticket);

 private:
  const PfEngineApi* api_;
  PfEngine* engine_;
  std::unique_ptr<Info> info_;
};

// A loaded plug-in library: pixelfleet_engine_synthetic or pixelfleet_engine_sdcpp.
class Plugin {
 public:
  // Refuses a file that is no plug-in or one of another version of abi.h.
  static Result<Plugin> open(const std::string& path);
  std::string_view name() const { return api_->name; }
  std::variant<Engine, Failure> start(const Options& options) const;

 private:
  explicit Plugin(const PfEngineApi* api) : api_(api) {}
  const PfEngineApi* api_;
};

}  // namespace pixelfleet::engine
