#include "workers/log_tail.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/utf8.h"

namespace pixelfleet::workers {
namespace {

constexpr std::size_t kMaxBytes = 64 * 1024;
constexpr std::size_t kPlainLines = 5;

bool sounds_like_error(std::string_view line) {
  static constexpr std::array<std::string_view, 14> kWords{
      "error",         "fail",   "abort",  "assert",    "fatal",       "exception", "terminate",
      "out of memory", "cannot", "unable", "not found", "unsupported", "invalid",   "segmentation"};
  std::string lower(line);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return lower.find(word) != std::string::npos; });
}

}  // namespace

std::string clean_line(std::string_view line, std::size_t max_bytes) {
  // Cut before the checks, so that their cost does not depend on the sender; a character cut in half is replaced.
  std::string clean(line.substr(0, max_bytes));
  for (char& c : clean) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) c = ' ';
  }
  while (const auto bad = find_invalid_utf8(clean)) clean[*bad] = '?';
  while (!clean.empty() && clean.back() == ' ') clean.pop_back();
  return clean;
}

void LogTail::add(std::string_view bytes, const std::function<void(const std::string&)>& on_line) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find_first_of("\n\r");
    const std::string_view piece = bytes.substr(0, end);
    // The rest of an endless line is dropped, its beginning is kept.
    unfinished_.append(piece.substr(0, kMaxLineBytes - std::min(unfinished_.size(), kMaxLineBytes)));
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    std::string line = clean_line(unfinished_);
    unfinished_.clear();
    if (line.empty()) continue;
    on_line(line);
    keep(std::move(line));
  }
}

void LogTail::keep(std::string line) {
  bytes_ += line.size();
  lines_.push_back(std::move(line));
  while (bytes_ > kMaxBytes) {
    bytes_ -= lines_.front().size();
    lines_.pop_front();
  }
}

std::vector<std::string> LogTail::evidence() const {
  std::deque<std::string> all = lines_;
  if (std::string rest = clean_line(unfinished_); !rest.empty()) all.push_back(std::move(rest));
  std::vector<std::string> found;
  for (auto line = all.rbegin(); line != all.rend() && found.size() < kMaxEvidenceLines; ++line) {
    if (sounds_like_error(*line)) found.push_back(*line);
  }
  if (found.empty()) {
    for (auto line = all.rbegin(); line != all.rend() && found.size() < kPlainLines; ++line) found.push_back(*line);
  }
  std::reverse(found.begin(), found.end());
  return found;
}

}  // namespace pixelfleet::workers
