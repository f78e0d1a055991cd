// Painting: one synthetic picture and the steps by which noise turns into it.
//
// The finished picture is painted once, at construction; a step of the imitated diffusion is only blended when someone
// looks at it. All of it follows from the request and the scene: same request, same bytes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/synthetic/canvas.h"

namespace pixelfleet::engine::synthetic {

struct Scene;

struct PaintingRequest {
  std::string_view prompt, negative_prompt;
  int width = 0, height = 0;
  int steps = 0;
  double cfg_scale = 0;
  std::int64_t seed = 0;
};

struct Preview {
  int width = 0, height = 0;
  std::vector<std::uint8_t> rgb;
};

class Painting {
 public:
  Painting(const Scene& scene, const PaintingRequest& request);

  // What the picture looks like after `step` of the request's steps, at most 192 pixels wide and high.
  Preview preview(int step) const;
  // The finished picture, RGB8, with the demo mark in its corner; may be taken once.
  std::vector<std::uint8_t> take() { return std::move(pixels_); }

 private:
  Preview small_;            // the finished picture at preview size
  std::vector<Rgb> coarse_;  // the same, so blurred that only its masses remain
  int steps_;
  std::uint32_t noise_seed_;
  std::vector<std::uint8_t> pixels_;
};

// The scene of a demo model: by name, else one that follows from the text, so that any key paints something.
const Scene& scene_named(std::string_view name);

}  // namespace pixelfleet::engine::synthetic
