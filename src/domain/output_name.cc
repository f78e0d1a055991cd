#include "domain/output_name.h"

#include "base/format.h"

namespace pixelfleet {

std::string slug(std::string_view text, std::size_t max_characters) {
  std::string out;
  bool gap = false;
  for (const char c : text.substr(0, max_characters)) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool kept = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!kept) {
      gap = true;
      continue;
    }
    if (gap && !out.empty()) out += '-';
    gap = false;
    out += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out.empty() ? "untitled" : out;
}

std::string run_directory(RunKind kind, Instant accepted_at) {
  std::string_view prefix = "run";
  if (kind == RunKind::multi_profiles) prefix = "multi_profiles";
  if (kind == RunKind::all_models_profiles) prefix = "all_models_profiles";
  return format("{}_{}", prefix, to_local_stamp(accepted_at));
}

std::string image_file_name(Instant accepted_at, std::string_view profile_title, std::string_view prompt,
                            std::int64_t seed, int index) {
  return format("{}_{}_{}_seed{}_{:02}.png", to_local_stamp(accepted_at), slug(profile_title), slug(prompt), seed,
                index + 1);
}

std::string with_collision_suffix(const std::string& name, int n) {
  if (n <= 1) return name;
  const std::size_t slash = name.rfind('/');
  const std::size_t dot = name.rfind('.');
  const bool has_extension = dot != std::string::npos && (slash == std::string::npos || dot > slash);
  const std::string stem = has_extension ? name.substr(0, dot) : name;
  const std::string extension = has_extension ? name.substr(dot) : "";
  return format("{}_{}{}", stem, n, extension);
}

}  // namespace pixelfleet
