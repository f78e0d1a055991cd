#include "gpu/visible_devices.h"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace pixelfleet::gpu {
namespace {

std::vector<std::string> entries_of(const std::string& list) {
  std::vector<std::string> entries;
  for (std::size_t start = 0; start <= list.size();) {
    const std::size_t comma = std::min(list.find(',', start), list.size());
    std::string entry = list.substr(start, comma - start);
    std::erase_if(entry, [](char c) { return c == ' ' || c == '\t'; });
    entries.push_back(std::move(entry));
    start = comma + 1;
  }
  return entries;
}

bool names_uuid(const std::string& entry) { return entry.starts_with("GPU-") || entry.starts_with("MIG-"); }

std::optional<int> number_in(std::string_view text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

// Whether an entry names the gpu, or the one whose MIG instance it is: by UUID, by index, or as "gpu:instance".
bool names(const std::string& entry, const Reading& reading) {
  const std::string& parent = reading.sample.detail.parent_uuid;
  if (names_uuid(entry)) return reading.gpu.uuid.starts_with(entry) || (!parent.empty() && parent.starts_with(entry));
  const std::size_t colon = entry.find(':');
  const auto gpu = number_in(std::string_view(entry).substr(0, colon));
  if (!gpu) return false;
  if (colon == std::string::npos) {
    return parent.empty() ? reading.gpu.index == *gpu : reading.gpu.index / 100 == mig_index(*gpu, 0) / 100;
  }
  const auto instance = number_in(std::string_view(entry).substr(colon + 1));
  return instance && !parent.empty() && reading.gpu.index == mig_index(*gpu, *instance);
}

// cuda: the list ends at the first entry that names nothing, and one that names a gpu with MIG means its first
// instance. container: all that are named.
enum class Reader { cuda, container };

std::vector<Reading> keep(const std::vector<Reading>& readings, const std::vector<std::string>& entries,
                          Reader reader) {
  std::vector<Reading> kept;
  for (const std::string& entry : entries) {
    bool named = false;
    for (const Reading& reading : readings) {
      if (!names(entry, reading) || (named && reader == Reader::cuda)) continue;
      named = true;
      if (std::find(kept.begin(), kept.end(), reading) == kept.end()) kept.push_back(reading);
    }
    if (!named && reader == Reader::cuda) break;
  }
  std::sort(kept.begin(), kept.end(), [](const Reading& a, const Reading& b) { return a.gpu.index < b.gpu.index; });
  return kept;
}

}  // namespace

std::vector<Reading> visible_to_cuda(std::vector<Reading> readings, const std::optional<std::string>& variable) {
  if (!variable) return readings;
  return keep(readings, entries_of(*variable), Reader::cuda);
}

std::vector<Reading> visible_to_container(std::vector<Reading> readings, const std::optional<std::string>& variable) {
  if (!variable || variable->empty() || *variable == "all" || *variable == "void") return readings;
  if (*variable == "none") return {};
  const std::vector<std::string> entries = entries_of(*variable);
  const bool by_uuid = std::all_of(entries.begin(), entries.end(), names_uuid);
  if (!by_uuid && readings.size() <= entries.size()) return readings;
  return keep(readings, entries, Reader::container);
}

Report only_visible(Report report, const std::optional<std::string>& container_variable,
                    const std::optional<std::string>& cuda_variable) {
  std::vector<Reading> all = report.readings;
  for (const FailingGpu& failing : report.failing) {
    all.emplace_back();
    all.back().gpu.uuid = failing.uuid;
    all.back().gpu.index = failing.index;
  }
  const std::vector<Reading> kept =
      visible_to_cuda(visible_to_container(std::move(all), container_variable), cuda_variable);
  const auto hidden = [&](int index) {
    return std::none_of(kept.begin(), kept.end(), [&](const Reading& reading) { return reading.gpu.index == index; });
  };
  std::erase_if(report.readings, [&](const Reading& reading) { return hidden(reading.gpu.index); });
  std::erase_if(report.failing, [&](const FailingGpu& failing) { return hidden(failing.index); });
  return report;
}

}  // namespace pixelfleet::gpu
