#include "cli/gpu_screen.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "base/format.h"
#include "base/json_full.h"

namespace pixelfleet::cli {
namespace {

constexpr std::size_t kRemembered = 60;
constexpr std::size_t kSparks = 20;
constexpr std::size_t kBar = 20;
constexpr std::size_t kNameColumn = 4;
constexpr std::size_t kLeastName = 25;
constexpr std::size_t kAfterName = 69;  // what stands right of the names, with the blank before it
constexpr double kWarm = 80.0;          // degrees
constexpr double kHot = 90.0;
constexpr double kNearlyFull = 0.9;

constexpr const char* kDim = "\x1b[2m";
constexpr const char* kGreen = "\x1b[32m";
constexpr const char* kYellow = "\x1b[33m";
constexpr const char* kRed = "\x1b[31m";
constexpr const char* kPlain = "\x1b[0m";

std::size_t bytes_of_character(std::string_view text, std::size_t at) {
  std::size_t bytes = 1;
  while (at + bytes < text.size() && (static_cast<unsigned char>(text[at + bytes]) & 0xC0) == 0x80) ++bytes;
  return bytes;
}

// A line that knows how many characters it shows, whatever bytes they take. Nothing is shown beyond its width.
class Line {
 public:
  Line(std::size_t width, Colour colour) : left_(width), colour_(colour) {}

  Line& add(std::string_view text, const char* paint = nullptr) {
    const bool painted = paint != nullptr && colour_ == Colour::ansi;
    if (painted) text_ += paint;
    for (std::size_t at = 0; at < text.size() && left_ > 0; --left_) {
      const std::size_t bytes = bytes_of_character(text, at);
      const bool control = bytes == 1 && (static_cast<unsigned char>(text[at]) < 0x20 || text[at] == 0x7F);
      text_ += control ? std::string_view("?") : text.substr(at, bytes);
      at += bytes;
      ++shown_;
    }
    if (painted) text_ += kPlain;
    return *this;
  }
  Line& pad_to(std::size_t column) {
    while (shown_ < column && left_ > 0) add(" ");
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::size_t left_;
  std::size_t shown_ = 0;
  const Colour colour_;
};

std::size_t characters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); at += bytes_of_character(text, at)) ++count;
  return count;
}

// At most so many characters; what is cut off leaves a mark.
std::string cut_to(const std::string& text, std::size_t most) {
  if (characters(text) <= most) return text;
  std::size_t bytes = 0;
  for (std::size_t shown = 1; shown < most; ++shown) bytes += bytes_of_character(text, bytes);
  return text.substr(0, bytes) + "…";
}

double number(const Json& gpu, const char* key) {
  const auto found = gpu.find(key);
  return found != gpu.end() && found->is_number() ? found->get<double>() : -1.0;
}

std::string text_of(const Json& gpu, const char* key) {
  const auto found = gpu.find(key);
  return found != gpu.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string or_unknown(double value, int decimals, std::string_view unit) {
  return value < 0.0 ? "-" : format("{:.{}f}{}", value, decimals, unit);
}

// "reset_needed" as a person would write it.
std::string with_blanks(std::string code) {
  std::replace(code.begin(), code.end(), '_', ' ');
  return code;
}

std::string bar(double part) {
  const auto full = static_cast<std::size_t>(std::lround(std::clamp(part, 0.0, 1.0) * kBar));
  std::string text;
  for (std::size_t i = 0; i < kBar; ++i) text += i < full ? "█" : "░";
  return text;
}

std::string sparks(const std::deque<double>& values) {
  constexpr std::array<const char*, 8> kHeights = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string text;
  for (std::size_t at = values.size() > kSparks ? values.size() - kSparks : 0; at < values.size(); ++at) {
    const double value = std::clamp(values[at], 0.0, 1.0);
    text += values[at] < 0.0 ? " " : kHeights[static_cast<std::size_t>(std::lround(value * (kHeights.size() - 1)))];
  }
  return text;
}

const char* colour_of_state(const std::string& state) {
  if (state == "busy") return kGreen;
  if (state == "loading" || state == "draining") return kYellow;
  return state == "offline" ? kRed : kDim;
}

// What another program does there, or why else it is closed: one of the API's sharing reasons.
std::string reason_words(const Json& reason) {
  const std::string kind = text_of(reason, "kind");
  if (kind == "others_compute") {
    const std::string name = text_of(reason, "name");
    std::string who = name.empty() ? "another program" : name;
    if (const double pid = number(reason, "pid"); pid >= 0.0) who += format(" (pid {:.0f})", pid);
    return format("{} uses {}", who, or_unknown(number(reason, "bytes") / (1 << 30), 1, " GiB"));
  }
  if (kind == "busy_by_others") {
    return format("others keep it busy at {}", or_unknown(number(reason, "utilization_ratio") * 100.0, 0, " %"));
  }
  if (kind == "too_hot") {
    return format("cools down from {}, ceiling {}", or_unknown(number(reason, "celsius"), 0, " °C"),
                  or_unknown(number(reason, "ceiling_celsius"), 0, " °C"));
  }
  return with_blanks(kind);
}

// Why a gpu does not work, or not as others do; empty when there is nothing to say.
std::string trouble_of(const Json& gpu) {
  std::vector<std::string> said;
  if (const auto health = gpu.find("health"); health != gpu.end() && health->is_object()) {
    const std::string state = text_of(*health, "state");
    const std::string why = text_of(*health, "reason");
    if (why == "operator_drained" || why == "operator_retired") {
      said.push_back(format("{} by the operator", why.substr(why.find('_') + 1)));
    } else if (!state.empty() && state != "healthy") {
      said.push_back(why.empty() ? state : format("{}: {}", state, with_blanks(why)));
    }
  }
  const auto sharing = gpu.find("sharing");
  if (sharing != gpu.end() && sharing->is_object() && text_of(gpu, "state") != "unused") {
    const bool open = text_of(*sharing, "verdict") == "open";
    if (open && sharing->value("overridden", false)) said.emplace_back("used although others may be here");
    const auto reasons = sharing->find("reasons");
    if (!open && reasons != sharing->end() && reasons->is_array()) {
      for (const Json& reason : *reasons) said.push_back(reason_words(reason));
    }
  }
  return format("{}", join(said, " · "));
}

std::string doing(const Json& gpu) {
  std::string text;
  if (gpu.contains("job") && gpu["job"].is_number()) text = format("job {}", gpu["job"].get<std::int64_t>());
  if (const std::string loading = text_of(gpu, "loading_model"); !loading.empty()) {
    text += format("{}loads {}", text.empty() ? "" : ", ", loading);
  }
  std::vector<std::string> residents;
  if (gpu.contains("resident_models")) {
    for (const Json& model : gpu["resident_models"]) {
      if (model.is_string()) residents.push_back(model.get<std::string>());
    }
  }
  if (!residents.empty()) text += format("{}holds {}", text.empty() ? "" : " · ", join(residents, ", "));
  return text;
}

}  // namespace

void GpuScreen::add(const Json& gpus) {
  gpus_.assign(gpus.begin(), gpus.end());
  for (const Json& gpu : gpus_) {
    std::deque<double>& values = utilisation_[text_of(gpu, "uuid")];
    values.push_back(number(gpu, "utilization_ratio"));
    if (values.size() > kRemembered) values.pop_front();
  }
}

std::size_t GpuScreen::name_width(std::size_t width) const {
  std::size_t longest = kLeastName;
  for (const Json& gpu : gpus_) longest = std::max(longest, characters(text_of(gpu, "name")));
  const std::size_t room = width > kNameColumn + kAfterName ? width - kNameColumn - kAfterName : 0;
  return std::max(kLeastName, std::min(longest, room));
}

std::vector<std::string> GpuScreen::gpu_lines(const Json& gpu, std::size_t width, Colour colour) const {
  const std::string state = text_of(gpu, "state");
  const double used = number(gpu, "memory_used_bytes");
  const double total = number(gpu, "memory_total_bytes");
  const double part = used >= 0.0 && total > 0.0 ? used / total : 0.0;
  const double degrees = number(gpu, "temperature_celsius");
  const double busy = number(gpu, "utilization_ratio");
  const std::size_t name = name_width(width);
  const std::size_t state_column = kNameColumn + name + 1;
  constexpr double kGib = 1.0 / (1 << 30);

  Line first(width, colour);
  first.add(format("{:>2}  ", static_cast<int>(number(gpu, "index")))).add(cut_to(text_of(gpu, "name"), name));
  first.pad_to(state_column).add(state, colour_of_state(state)).pad_to(state_column + 10);
  first.add(bar(part), part > kNearlyFull ? kYellow : nullptr);
  first.add(format(" {:>5} / {:>5} GiB ", or_unknown(used * kGib, 1, ""), or_unknown(total * kGib, 1, "")));
  first.add(format("{:>5} ", or_unknown(busy * 100.0, 0, " %")));
  first.add(format("{:>6} ", or_unknown(degrees, 0, " °C")), degrees >= kHot    ? kRed
                                                             : degrees >= kWarm ? kYellow
                                                                                : nullptr);
  first.add(format("{:>6}", or_unknown(number(gpu, "power_watts"), 0, " W")));

  Line second(width, colour);
  second.add("    ");
  const auto remembered = utilisation_.find(text_of(gpu, "uuid"));
  if (remembered != utilisation_.end()) second.add(sparks(remembered->second), kGreen);
  const std::string trouble = trouble_of(gpu);
  const std::string what = doing(gpu);
  if (!trouble.empty() || !what.empty()) second.pad_to(state_column);
  second.add(trouble, kYellow).add(trouble.empty() || what.empty() ? "" : " · ").add(what, kDim);
  return {first.text(), second.text()};
}

std::vector<std::string> GpuScreen::lines(std::size_t width, Colour colour, const std::string& note) const {
  const auto busy =
      std::count_if(gpus_.begin(), gpus_.end(), [](const Json& gpu) { return text_of(gpu, "state") == "busy"; });
  Line heading(width, colour);
  heading.add(format("PixelFleet  {} gpu{}, {} busy   ", gpus_.size(), gpus_.size() == 1 ? "" : "s", busy));
  heading.add(note, kDim);
  Line columns(width, colour);
  columns.pad_to(kNameColumn).add("name, busy lately", kDim).pad_to(kNameColumn + name_width(width) + 1);
  columns.add(format("{:<10}{:<39}{:>6}{:>7}{:>6}", "state", "memory in use", "busy ", "temp ", "power"), kDim);
  std::vector<std::string> lines = {heading.text(), columns.text()};
  for (const Json& gpu : gpus_) {
    for (std::string& line : gpu_lines(gpu, width, colour)) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace pixelfleet::cli
