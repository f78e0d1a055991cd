#include "workers/protocol.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "base/format.h"
#include "base/json_full.h"
#include "base/utf8.h"
#include "domain/job_spec.h"

namespace pixelfleet::workers::protocol {
namespace {

constexpr JsonLimits kLimits{.max_bytes = 1024 * 1024, .max_depth = 8, .max_values = 20'000};
constexpr std::int64_t kMaxId = INT64_MAX;
constexpr std::int64_t kMaxBytes = std::int64_t{1} << 50;
constexpr int kMaxIndex = limits::kMaxCount - 1;
constexpr int kMaxStepsReported = 100'000;  // loading counts tensors
constexpr double kMaxSeconds = 1e7;
constexpr std::size_t kMaxName = 256;
constexpr std::size_t kMaxPath = 4096;
constexpr std::size_t kMaxPrompt = 64 * 1024;
constexpr std::size_t kMaxMessage = 4096;
constexpr std::size_t kMaxLine = 1000;
constexpr std::size_t kMaxLines = 20;
constexpr std::size_t kMaxParts = 16;

constexpr std::array<std::string_view, 6> kFailureClasses{"bad_request",  "out_of_memory",  "model_unreadable",
                                                          "engine_error", "invalid_output", "protocol"};
constexpr std::array<std::string_view, 3> kCancelKinds{"step", "kill", "none"};
constexpr std::array<std::string_view, 3> kOutcomes{"done", "cancelled", "failed"};
constexpr std::array<std::string_view, 3> kSandboxes{"full", "partial", "none"};
constexpr std::array<std::string_view, 2> kInputRoles{"init_image", "mask_image"};
constexpr std::array<std::string_view, 3> kModes{"txt2img", "img2img", "inpaint"};
constexpr std::array<std::string_view, 4> kPhases{"load", "text", "sample", "decode"};

// Reads the members of one JSON object; remembers the first breach and answers with harmless values from then on.
class Fields {
 public:
  Fields(const Json& object, std::string& breach) : object_(object), breach_(breach) {
    if (!object_.is_object()) complain("the message is not an object");
  }

  std::int64_t integer(const char* key, std::int64_t min, std::int64_t max) {
    const Json* value = member(key);
    if (value == nullptr) return min;
    const bool fits = value->is_number_integer() &&
                      (!value->is_number_unsigned() || value->get<std::uint64_t>() <= std::uint64_t{INT64_MAX});
    const std::int64_t number = fits ? value->get<std::int64_t>() : 0;
    if (!fits || number < min || number > max) {
      complain(format("\"{}\" is not an integer from {} to {}", key, min, max));
      return min;
    }
    return number;
  }
  int small(const char* key, int min, int max) { return static_cast<int>(integer(key, min, max)); }

  double number(const char* key, double min, double max) {
    const Json* value = member(key);
    if (value == nullptr) return min;
    const double number = value->is_number() ? value->get<double>() : NAN;
    if (!(number >= min && number <= max)) {
      complain(format("\"{}\" is not a number from {} to {}", key, min, max));
      return min;
    }
    return number;
  }

  std::string text(const char* key, std::size_t max_bytes) {
    const std::string* value = raw_text(key);
    if (value == nullptr) return {};
    if (value->size() > max_bytes || value->find('\0') != std::string::npos) {
      complain(format("\"{}\" has a zero byte or more than {} bytes", key, max_bytes));
      return {};
    }
    return *value;
  }

  // For words that only people read: too long is cut, not refused.
  std::string clipped(const char* key, std::size_t max_bytes) {
    const std::string* value = raw_text(key);
    return value == nullptr ? std::string() : std::string(utf8_prefix(*value, max_bytes));
  }

  std::string one_of(const char* key, std::span<const std::string_view> allowed) {
    const std::string* value = raw_text(key);
    if (value == nullptr) return std::string(allowed.front());
    if (std::find(allowed.begin(), allowed.end(), *value) == allowed.end()) {
      complain(format("\"{}\" is none of the {} known words", key, allowed.size()));
      return std::string(allowed.front());
    }
    return *value;
  }

  bool flag(const char* key) {
    const Json* value = member(key);
    if (value != nullptr && !value->is_boolean()) complain(format("\"{}\" is not true or false", key));
    return value != nullptr && value->is_boolean() && value->get<bool>();
  }

  std::vector<std::string> clipped_lines(const char* key) {
    std::vector<std::string> lines;
    for (const Json& line : array(key, 10'000)) {
      if (lines.size() == kMaxLines) break;
      if (line.is_string()) lines.emplace_back(utf8_prefix(line.get_ref<const std::string&>(), kMaxLine));
    }
    return lines;
  }

  const Json& array(const char* key, std::size_t max_size) {
    static const Json empty = Json::array();
    const Json* value = member(key);
    if (value == nullptr) return empty;
    if (!value->is_array() || value->size() > max_size) {
      complain(format("\"{}\" is not an array of at most {}", key, max_size));
      return empty;
    }
    return *value;
  }

  Fields object(const char* key) {
    static const Json empty = Json::object();
    const Json* value = member(key);
    return Fields(value == nullptr ? empty : *value, breach_);
  }

  bool has(const char* key) const { return object_.is_object() && object_.contains(key); }
  void complain(std::string breach) {
    if (breach_.empty()) breach_ = std::move(breach);
  }

 private:
  const Json* member(const char* key) {
    if (!breach_.empty()) return nullptr;
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    complain(format("\"{}\" is missing", key));
    return nullptr;
  }
  const std::string* raw_text(const char* key) {
    const Json* value = member(key);
    if (value == nullptr) return nullptr;
    if (!value->is_string()) {
      complain(format("\"{}\" is not a text", key));
      return nullptr;
    }
    return value->get_ptr<const std::string*>();
  }

  const Json& object_;
  std::string& breach_;
};

Json failure_json(const Failure& failure) {
  return {{"class", failure.failure_class}, {"message", failure.message}, {"lines", failure.lines}};
}

Failure failure_from(Fields& fields) {
  return Failure{fields.one_of("class", kFailureClasses), fields.clipped("message", kMaxMessage),
                 fields.clipped_lines("lines")};
}

Json demo_json(const DemoTraits& demo) {
  return {{"load_seconds", demo.load_seconds},
          {"step_seconds", demo.step_seconds},
          {"scene", demo.scene},
          {"faults", demo.faults}};
}

// --- one pair of functions for each message ---------------------------------------------------------------------

Json to_json(const Load& load) {
  Json parts = Json::array();
  for (const Load::Part& part : load.parts) parts.push_back({{"role", part.role}, {"file", part.file}});
  Json model = {{"key", load.model}, {"engine", load.engine}, {"parts", std::move(parts)}};
  if (load.demo) model["demo"] = demo_json(*load.demo);
  return {{"type", "load"},
          {"model", std::move(model)},
          {"plugin", load.plugin},
          {"engine_library", load.engine_library},
          {"time_scale", load.time_scale},
          {"gpu", {{"uuid", load.gpu}, {"kind", load.gpu_kind}, {"index", load.gpu_index}}}};
}

Load load_from(Fields& fields, std::string& breach) {
  Load load;
  Fields model = fields.object("model");
  load.model = model.text("key", kMaxName);
  load.engine = model.text("engine", kMaxName);
  for (const Json& item : model.array("parts", kMaxParts)) {
    Fields part(item, breach);
    load.parts.push_back({part.text("role", kMaxName), part.text("file", kMaxPath)});
  }
  if (model.has("demo")) {
    Fields demo = model.object("demo");
    load.demo = DemoTraits{.load_seconds = demo.number("load_seconds", 0, kMaxSeconds),
                           .step_seconds = demo.number("step_seconds", 0, kMaxSeconds),
                           .scene = demo.text("scene", kMaxName),
                           .faults = demo.text("faults", kMaxPath)};
  }
  load.plugin = fields.text("plugin", kMaxPath);
  load.engine_library = fields.text("engine_library", kMaxPath);
  load.time_scale = fields.number("time_scale", 1e-6, 1e9);
  Fields gpu = fields.object("gpu");
  load.gpu = gpu.text("uuid", kMaxName);
  load.gpu_kind = gpu.text("kind", kMaxName);
  load.gpu_index = gpu.small("index", 0, 1'000'000);
  return load;
}

Json to_json(const Input& input) { return {{"type", "input"}, {"chunk_id", input.chunk_id}, {"role", input.role}}; }

Input input_from(Fields& fields) {
  Input input;
  input.chunk_id = fields.integer("chunk_id", 1, kMaxId);
  input.role = fields.one_of("role", kInputRoles);
  return input;
}

Json to_json(const Run& run) {
  Json images = Json::array();
  for (const Run::Image& image : run.images) images.push_back({{"index", image.index}, {"seed", image.seed}});
  return {{"type", "run"},
          {"chunk_id", run.chunk_id},
          {"attempt", run.attempt},
          {"settings",
           {{"prompt", run.prompt},
            {"negative_prompt", run.negative_prompt},
            {"width", run.width},
            {"height", run.height},
            {"published_width", run.published_width},
            {"published_height", run.published_height},
            {"steps", run.steps},
            {"cfg_scale", run.cfg_scale},
            {"sampler", run.sampler},
            {"scheduler", run.scheduler},
            {"mode", run.mode},
            {"strength", run.strength},
            {"mask_feather", run.mask_feather}}},
          {"images", std::move(images)},
          {"preview_every_ms", run.preview_every_ms}};
}

Run run_from(Fields& fields, std::string& breach) {
  Run run;
  run.chunk_id = fields.integer("chunk_id", 1, kMaxId);
  run.attempt = fields.integer("attempt", 1, kMaxId);
  Fields settings = fields.object("settings");
  run.prompt = settings.text("prompt", kMaxPrompt);
  run.negative_prompt = settings.text("negative_prompt", kMaxPrompt);
  // One step of the coarsest size multiple above the largest side: what is generated may be cropped to it.
  run.width = settings.small("width", limits::kMinSide, limits::kMaxSide + 64);
  run.height = settings.small("height", limits::kMinSide, limits::kMaxSide + 64);
  run.published_width = settings.small("published_width", limits::kMinSide, limits::kMaxSide);
  run.published_height = settings.small("published_height", limits::kMinSide, limits::kMaxSide);
  run.steps = settings.small("steps", limits::kMinSteps, limits::kMaxSteps);
  run.cfg_scale = settings.number("cfg_scale", limits::kMinCfgScale, limits::kMaxCfgScale);
  run.sampler = settings.text("sampler", kMaxName);
  run.scheduler = settings.text("scheduler", kMaxName);
  run.mode = settings.one_of("mode", kModes);
  run.strength = settings.number("strength", 0, limits::kMaxStrength);
  run.mask_feather = settings.small("mask_feather", 0, limits::kMaxMaskFeather);
  for (const Json& item : fields.array("images", limits::kMaxCount)) {
    Fields image(item, breach);
    run.images.push_back({image.small("index", 0, kMaxIndex), image.integer("seed", 0, kMaxId)});
  }
  if (run.images.empty()) fields.complain("\"images\" is empty");
  run.preview_every_ms = fields.small("preview_every_ms", 0, 3'600'000);
  return run;
}

Json to_json(const Cancel& cancel) { return {{"type", "cancel"}, {"chunk_id", cancel.chunk_id}}; }
Json to_json(const Ack& ack) { return {{"type", "ack"}, {"chunk_id", ack.chunk_id}, {"index", ack.index}}; }
Json to_json(const Shutdown&) { return {{"type", "shutdown"}}; }

Json to_json(const Hello& hello) {
  return {{"type", "hello"},
          {"protocol", hello.protocol},
          {"pid", hello.pid},
          {"build", hello.build},
          {"sandbox", hello.sandbox}};
}

Hello hello_from(Fields& fields) {
  Hello hello;
  hello.protocol = fields.small("protocol", 0, 1'000'000);
  // The rest belongs to the version: a foreign one is told apart before its fields are judged.
  if (hello.protocol != kVersion) return hello;
  hello.pid = fields.small("pid", 1, INT32_MAX);
  hello.build = fields.clipped("build", kMaxName);
  hello.sandbox = fields.one_of("sandbox", kSandboxes);
  return hello;
}

Json to_json(const LoadProgress& progress) { return {{"type", "load_progress"}, {"ratio", progress.ratio}}; }

Json to_json(const Ready& ready) {
  return {{"type", "ready"},
          {"engine", ready.engine},
          {"engine_version", ready.engine_version},
          {"generation", ready.generation},
          {"capabilities",
           {{"cancel", ready.cancel},
            {"preview", ready.preview},
            {"img2img", ready.img2img},
            {"inpaint", ready.inpaint},
            {"lora", ready.lora}}},
          {"device_bytes", ready.device_bytes},
          {"host_bytes", ready.host_bytes},
          {"load_seconds", ready.load_seconds}};
}

Ready ready_from(Fields& fields) {
  Ready ready;
  ready.engine = fields.clipped("engine", kMaxName);
  ready.engine_version = fields.clipped("engine_version", kMaxName);
  ready.generation = fields.clipped("generation", kMaxName);
  Fields capabilities = fields.object("capabilities");
  ready.cancel = capabilities.one_of("cancel", kCancelKinds);
  ready.preview = capabilities.flag("preview");
  ready.img2img = capabilities.flag("img2img");
  ready.inpaint = capabilities.flag("inpaint");
  ready.lora = capabilities.flag("lora");
  ready.device_bytes = fields.integer("device_bytes", 0, kMaxBytes);
  ready.host_bytes = fields.integer("host_bytes", 0, kMaxBytes);
  ready.load_seconds = fields.number("load_seconds", 0, kMaxSeconds);
  return ready;
}

Json to_json(const LoadFailed& failed) {
  Json json = failure_json(failed.failure);
  json["type"] = "load_failed";
  return json;
}

Json to_json(const Progress& progress) {
  return {{"type", "progress"},      {"chunk_id", progress.chunk_id},
          {"index", progress.index}, {"phase", std::string(name(progress.phase))},
          {"step", progress.step},   {"steps", progress.steps}};
}

Progress progress_from(Fields& fields) {
  Progress progress;
  progress.chunk_id = fields.integer("chunk_id", 1, kMaxId);
  progress.index = fields.small("index", 0, kMaxIndex);
  progress.phase = phase_from(fields.one_of("phase", kPhases)).value_or(Phase::load);
  progress.step = fields.small("step", 0, kMaxStepsReported);
  progress.steps = fields.small("steps", 0, kMaxStepsReported);
  return progress;
}

Json to_json(const Preview& preview) {
  return {{"type", "preview"},      {"chunk_id", preview.chunk_id}, {"index", preview.index},  {"step", preview.step},
          {"steps", preview.steps}, {"width", preview.width},       {"height", preview.height}};
}

Preview preview_from(Fields& fields) {
  Preview preview;
  preview.chunk_id = fields.integer("chunk_id", 1, kMaxId);
  preview.index = fields.small("index", 0, kMaxIndex);
  preview.step = fields.small("step", 0, kMaxStepsReported);
  preview.steps = fields.small("steps", 0, kMaxStepsReported);
  preview.width = fields.small("width", 1, limits::kMaxSide + 64);
  preview.height = fields.small("height", 1, limits::kMaxSide + 64);
  return preview;
}

Json to_json(const Image& image) {
  return {{"type", "image"},    {"chunk_id", image.chunk_id}, {"attempt", image.attempt}, {"index", image.index},
          {"seed", image.seed}, {"width", image.width},       {"height", image.height},   {"seconds", image.seconds}};
}

Image image_from(Fields& fields) {
  Image image;
  image.chunk_id = fields.integer("chunk_id", 1, kMaxId);
  image.attempt = fields.integer("attempt", 1, kMaxId);
  image.index = fields.small("index", 0, kMaxIndex);
  image.seed = fields.integer("seed", 0, kMaxId);
  image.width = fields.small("width", 1, limits::kMaxSide + 64);
  image.height = fields.small("height", 1, limits::kMaxSide + 64);
  image.seconds = fields.number("seconds", 0, kMaxSeconds);
  return image;
}

Json to_json(const ChunkDone& done) {
  Json json = {{"type", "chunk_done"}, {"chunk_id", done.chunk_id}, {"outcome", done.outcome}};
  if (done.outcome == "failed") json.update(failure_json(done.failure));
  return json;
}

ChunkDone chunk_done_from(Fields& fields) {
  ChunkDone done;
  done.chunk_id = fields.integer("chunk_id", 1, kMaxId);
  done.outcome = fields.one_of("outcome", kOutcomes);
  if (done.outcome == "failed") done.failure = failure_from(fields);
  return done;
}

// Parses one message; `make` gets the type's word, the fields and where breaches are noted, and answers nothing for
// an unknown type.
template <class Message, class Make>
Result<Message> decode(std::string_view text, Make make) {
  const auto json = parse_json(text, kLimits);
  if (!json) return fail(json.error());
  std::string breach;
  Fields fields(*json, breach);
  const std::string type = fields.text("type", kMaxName);
  std::optional<Message> message = breach.empty() ? make(type, fields, breach) : std::nullopt;
  if (!message && breach.empty()) breach = "its type is not known";
  if (!breach.empty()) return fail(ErrorCode::corrupt, format("malformed message \"{}\": {}", type, breach));
  return *std::move(message);
}

}  // namespace

std::string encode(const ToWorker& message) {
  return to_text(std::visit([](const auto& m) { return to_json(m); }, message));
}

std::string encode(const FromWorker& message) {
  return to_text(std::visit([](const auto& m) { return to_json(m); }, message));
}

Result<ToWorker> decode_to_worker(std::string_view text) {
  return decode<ToWorker>(text,
                          [](std::string_view type, Fields& fields, std::string& breach) -> std::optional<ToWorker> {
                            if (type == "load") return load_from(fields, breach);
                            if (type == "input") return input_from(fields);
                            if (type == "run") return run_from(fields, breach);
                            if (type == "cancel") return Cancel{fields.integer("chunk_id", 1, kMaxId)};
                            if (type == "ack")
                              return Ack{fields.integer("chunk_id", 1, kMaxId), fields.small("index", 0, kMaxIndex)};
                            if (type == "shutdown") return Shutdown{};
                            return std::nullopt;
                          });
}

Result<FromWorker> decode_from_worker(std::string_view text) {
  return decode<FromWorker>(text, [](std::string_view type, Fields& fields, std::string&) -> std::optional<FromWorker> {
    if (type == "hello") return hello_from(fields);
    if (type == "load_progress") return LoadProgress{fields.number("ratio", 0, 1)};
    if (type == "ready") return ready_from(fields);
    if (type == "load_failed") return LoadFailed{failure_from(fields)};
    if (type == "progress") return progress_from(fields);
    if (type == "preview") return preview_from(fields);
    if (type == "image") return image_from(fields);
    if (type == "chunk_done") return chunk_done_from(fields);
    return std::nullopt;
  });
}

std::string demo_text(const DemoTraits& demo) { return to_text(demo_json(demo)); }

}  // namespace pixelfleet::workers::protocol
