// What a published PNG says about itself: infotext that other programs read, and our whole job in JSON.
//
// Infotext (PNG key `parameters`) follows the grammar of AUTOMATIC1111's readers: prompt lines, a line starting
// "Negative prompt: ", and one last line of `Key: value` pairs that begins with Steps. The JSON (PNG key `pixelfleet`)
// keeps what infotext cannot: the request as sent, exact settings, sizes, the gpu and the times.
#pragma once

#include <string>
#include <string_view>

#include "control/ports.h"

namespace pixelfleet::media {

inline constexpr std::string_view kInfotextKey = "parameters";
inline constexpr std::string_view kSpecKey = "pixelfleet";
inline constexpr int kSpecSchema = 1;  // raised when a key changes its meaning or goes away

struct PictureFacts {
  const Job& job;
  const Image& image;  // effective.width and .height are the picture's
  const Model& model;
  int generated_width = 0;  // what the engine made, before the crop
  int generated_height = 0;
  std::string_view version;  // of this program: "0.1.0"
};

std::string infotext(const PictureFacts& facts);
std::string spec_json(const PictureFacts& facts);

// The labels that A1111's users and the v17 lab know: "euler_a" -> "Euler a". Names without one stay as they are.
std::string sampler_label(std::string_view sampler);
std::string scheduler_label(std::string_view scheduler);

}  // namespace pixelfleet::media
