#include "gpu/visible_devices.h"

#include <algorithm>
#include <charconv>

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

const Reading* find(const std::vector<Reading>& readings, const std::string& entry) {
  if (names_uuid(entry)) {
    const auto found = std::find_if(readings.begin(), readings.end(),
                                    [&](const Reading& reading) { return reading.gpu.uuid.starts_with(entry); });
    return found == readings.end() ? nullptr : &*found;
  }
  int index = -1;
  const auto [end, error] = std::from_chars(entry.data(), entry.data() + entry.size(), index);
  if (error != std::errc{} || end != entry.data() + entry.size()) return nullptr;
  const auto found = std::find_if(readings.begin(), readings.end(),
                                  [&](const Reading& reading) { return reading.gpu.index == index; });
  return found == readings.end() ? nullptr : &*found;
}

enum class AtUnknown { stop, skip };

std::vector<Reading> keep(const std::vector<Reading>& readings, const std::vector<std::string>& entries,
                          AtUnknown at_unknown) {
  std::vector<Reading> kept;
  for (const std::string& entry : entries) {
    const Reading* reading = find(readings, entry);
    if (reading == nullptr && at_unknown == AtUnknown::stop) break;
    if (reading != nullptr && std::find(kept.begin(), kept.end(), *reading) == kept.end()) kept.push_back(*reading);
  }
  std::sort(kept.begin(), kept.end(), [](const Reading& a, const Reading& b) { return a.gpu.index < b.gpu.index; });
  return kept;
}

}  // namespace

std::vector<Reading> visible_to_cuda(std::vector<Reading> readings, const std::optional<std::string>& variable) {
  if (!variable) return readings;
  return keep(readings, entries_of(*variable), AtUnknown::stop);
}

std::vector<Reading> visible_to_container(std::vector<Reading> readings, const std::optional<std::string>& variable) {
  if (!variable || variable->empty() || *variable == "all" || *variable == "void") return readings;
  if (*variable == "none") return {};
  const std::vector<std::string> entries = entries_of(*variable);
  const bool by_uuid = std::all_of(entries.begin(), entries.end(), names_uuid);
  if (!by_uuid && readings.size() <= entries.size()) return readings;
  return keep(readings, entries, AtUnknown::skip);
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
