#include "domain/gpu_spec.h"

#include <array>
#include <charconv>
#include <utility>

#include "base/format.h"
#include "base/utf8.h"
#include "domain/suggest.h"

namespace pixelfleet {
namespace {

constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kGiB = 1 << 30;

// Memory of the cards people name, by their makers' data sheets.
constexpr std::array kCards = {
    std::pair{"3060", 12}, std::pair{"3080", 10},  std::pair{"3090", 24},  std::pair{"4070", 12}, std::pair{"4080", 16},
    std::pair{"4090", 24}, std::pair{"5080", 16},  std::pair{"5090", 32},  std::pair{"t4", 16},   std::pair{"l4", 24},
    std::pair{"a10", 24},  std::pair{"v100", 32},  std::pair{"a6000", 48}, std::pair{"l40s", 48}, std::pair{"a100", 80},
    std::pair{"h100", 80}, std::pair{"h200", 141},
};

Error bad_item(std::string_view spec, std::string_view item, std::string_view why) {
  return invalid_fields({{"virtual_gpus", std::string(utf8_prefix(spec, 128)), format("\"{}\": {}", item, why),
                          "a spec such as 4x24GiB, 8xA100, H100+2x4090 or cpu:2"}});
}

std::optional<int> parse_count(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 1) return std::nullopt;
  return value;
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  for (const auto& [unit, factor] :
       {std::pair{"GiB", kGiB}, std::pair{"MiB", kMiB}, std::pair{"GB", std::int64_t{1'000'000'000}}}) {
    if (!text.ends_with(unit)) continue;
    const auto number = parse_count(text.substr(0, text.size() - std::string_view(unit).size()));
    if (!number) return std::nullopt;
    return *number * factor;
  }
  return std::nullopt;
}

struct Item {
  int count = 1;
  std::string label;
  GpuKind kind = GpuKind::virtual_gpu;
  std::int64_t bytes = 0;
};

Result<Item> parse_item(std::string_view spec, std::string_view item) {
  if (item == "cpu" || item.starts_with("cpu:")) {
    const auto count = item == "cpu" ? std::optional<int>(1) : parse_count(item.substr(4));
    if (!count) return fail(bad_item(spec, item, "the count after \"cpu:\" must be a whole number from 1"));
    return Item{*count, "CPU", GpuKind::cpu, 8 * kGiB};
  }
  Item parsed;
  std::string_view rest = item;
  if (const std::size_t times = item.find('x'); times != std::string_view::npos) {
    if (const auto count = parse_count(item.substr(0, times))) {
      parsed.count = *count;
      rest = item.substr(times + 1);
    }
  }
  if (const auto bytes = parse_size(rest)) {
    parsed.bytes = *bytes;
    parsed.label = format("Virtual {}", rest);
    return parsed;
  }
  const std::string lower = to_lower_ascii(rest);
  for (const auto& [card, gib] : kCards) {
    if (lower != card) continue;
    parsed.bytes = gib * kGiB;
    parsed.label = format("Virtual {}", rest);
    return parsed;
  }
  return fail(bad_item(spec, item, "neither a memory size nor a card we know"));
}

}  // namespace

Result<std::vector<Gpu>> parse_gpu_spec(std::string_view spec) {
  std::vector<Gpu> gpus;
  int next_virtual = 0;
  int next_cpu = 0;
  std::size_t start = 0;
  while (start <= spec.size()) {
    const std::size_t end = std::min(spec.find('+', start), spec.size());
    const std::string_view text = spec.substr(start, end - start);
    const auto item = parse_item(spec, text);
    if (!item) return fail(item.error());
    if (item->count > kMaxSpecGpus - static_cast<int>(gpus.size())) {
      return fail(bad_item(spec, text, format("more than {} gpus", kMaxSpecGpus)));
    }
    for (int i = 0; i < item->count; ++i) {
      const bool cpu = item->kind == GpuKind::cpu;
      gpus.push_back({cpu ? format("cpu-{}", next_cpu++) : format("virtual-{}", next_virtual++),
                      static_cast<int>(gpus.size()), item->label, item->kind, item->bytes});
    }
    start = end + 1;
  }
  return gpus;
}

}  // namespace pixelfleet
