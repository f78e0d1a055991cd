#include "domain/job_spec.h"

namespace pixelfleet {

std::string_view name(Priority priority) {
  switch (priority) {
    case Priority::interactive: return "interactive";
    case Priority::normal: return "normal";
    case Priority::background: return "background";
  }
  return "normal";
}

std::string_view name(Mode mode) {
  switch (mode) {
    case Mode::txt2img: return "txt2img";
    case Mode::img2img: return "img2img";
    case Mode::inpaint: return "inpaint";
  }
  return "txt2img";
}

std::optional<Priority> priority_from(std::string_view text) {
  for (const Priority priority : {Priority::interactive, Priority::normal, Priority::background}) {
    if (text == name(priority)) return priority;
  }
  return std::nullopt;
}

std::optional<Mode> mode_from(std::string_view text) {
  for (const Mode mode : {Mode::txt2img, Mode::img2img, Mode::inpaint}) {
    if (text == name(mode)) return mode;
  }
  return std::nullopt;
}

}  // namespace pixelfleet
