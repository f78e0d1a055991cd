#include "simulator/history.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <utility>

#include "base/format.h"

namespace pixelfleet::simulator {
namespace {

constexpr std::string_view kName = "history";

struct Family {
  std::string_view catalogued;  // as the catalogue names it
  std::string_view row;         // of the machine's table
};
constexpr std::array<Family, 5> kFamilies = {
    {{"sd1", "SD15"}, {"sd2", "SD15"}, {"sdxl", "SDXL"}, {"sd3", "SD35L"}, {"flux", "FLUX8"}}};
constexpr std::string_view kUnknownModel = "SDXL";
constexpr double kUnknownBytes = 6.9e9;
constexpr double kLeastBytes = 0.1e9;

std::string_view family_of_size(double bytes) {
  if (bytes < 4e9) return "SD15";
  return bytes < 10e9 ? "SDXL" : "FLUX8";
}

TraceModel trace_model(const Model& model) {
  const auto bytes = static_cast<double>(model.file_bytes() > 0 ? model.file_bytes() : model.memory_bytes);
  TraceModel row{std::string(family_of_size(bytes)), std::max(bytes, kLeastBytes)};
  for (const Family& family : kFamilies) {
    if (model.family == family.catalogued) row.family = family.row;
  }
  return row;
}

class Numbers {
 public:
  int of(const std::string& name) { return numbers_.emplace(name, static_cast<int>(numbers_.size())).first->second; }

 private:
  std::map<std::string, int> numbers_;
};

std::string as_text(const std::vector<LoraRef>& loras) {
  std::string text;
  for (const LoraRef& lora : loras) text += format("{}:{} ", lora.name, lora.weight);
  return text;
}

}  // namespace

Result<History> history_of(std::vector<Job> jobs, const Catalog& catalog) {
  if (jobs.empty()) {
    return fail(ErrorCode::not_found, "there is no history yet: no job was ever accepted in this data directory");
  }
  std::sort(jobs.begin(), jobs.end(),
            [](const Job& a, const Job& b) { return std::pair(a.created_at, a.id) < std::pair(b.created_at, b.id); });
  History history;
  history.trace.name = kName;
  Numbers owners;
  Numbers models;
  Numbers lora_sets;
  std::vector<std::string> unknown;
  for (const Job& job : jobs) {
    TraceJob row;
    row.arrival_s = std::chrono::duration<double>(job.created_at - jobs.front().created_at).count();
    row.user = owners.of(job.requested.owner);
    row.model = models.of(job.settings.model);
    row.images = job.requested.count;
    row.steps = job.settings.steps;
    row.pixels = static_cast<double>(job.settings.generate_width) * job.settings.generate_height;
    row.lora_set = job.settings.loras.empty() ? 0 : 1 + lora_sets.of(as_text(job.settings.loras));
    row.priority = job.requested.priority;
    if (static_cast<std::size_t>(row.model) == history.trace.models.size()) {
      const Model* model = catalog.find_model(job.settings.model);
      if (model == nullptr) unknown.push_back(job.settings.model);
      history.trace.models.push_back(model != nullptr ? trace_model(*model)
                                                      : TraceModel{std::string(kUnknownModel), kUnknownBytes});
    }
    history.trace.jobs.push_back(row);
  }
  if (!unknown.empty()) {
    history.notes.push_back(format("not in the catalogue any more, taken for an {} of {:.1f} GB: {}", kUnknownModel,
                                   kUnknownBytes / 1e9, join(unknown, ", ")));
  }
  return history;
}

}  // namespace pixelfleet::simulator
