// A client's text into a JobSpec: never a crash, and what is accepted survives being written and read again.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/json_full.h"
#include "domain/job_json.h"
#include "domain/resolve.h"

namespace pixelfleet::fuzz {
namespace {

Catalog one_model() {
  Catalog catalog;
  Model model;
  model.key = "demo";
  model.title = "Demo";
  model.engine = "synthetic";
  catalog.models.push_back(model);
  catalog.profiles.push_back({});
  return catalog;
}

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::abort();
}

void run(std::string_view text) {
  const auto json = parse_json(text);
  if (!json) {
    if (json.error().message.empty()) give_up("a text was refused without a reason");
    return;
  }
  const auto spec = job_spec_from_json(*json);
  if (!spec) {
    if (spec.error().message.empty()) give_up("a job was refused without a reason");
    return;
  }
  const std::string written = to_text(to_json(*spec));
  const auto again_json = parse_json(written);
  if (!again_json) give_up("what was written is not JSON: " + written);
  const auto again = job_spec_from_json(*again_json);
  if (!again) give_up("what was written is refused: " + written + ": " + again.error().message);
  if (*again != *spec) give_up("what was written reads as something else: " + written);

  static const Catalog catalog = one_model();
  const auto resolved = resolve(*spec, catalog);
  if (!resolved) {
    if (resolved.error().fields.empty()) give_up("a job was refused without naming a field");
    return;
  }
  const JobSettings& settings = resolved->settings;
  if (settings.generate_width < settings.width || settings.generate_height < settings.height || settings.steps < 1) {
    give_up("settings that no engine can meet: " + written);
  }
}

}  // namespace
}  // namespace pixelfleet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pixelfleet::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
