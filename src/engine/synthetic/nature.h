// What landscapes are made of: skies, silhouettes from far to near, water, weather.
//
// A silhouette is a height for every column, which makes mountains and woods one cheap pass each, and water a mirrored
// copy of what stands above it. Heights and lengths are in view units (canvas.h).
#pragma once

#include <vector>

#include "base/rng.h"
#include "engine/synthetic/canvas.h"
#include "engine/synthetic/mood.h"

namespace pixelfleet::engine::synthetic {

inline constexpr Rgb kSnow{0.94f, 0.96f, 0.99f};

// The sun or the moon.
struct Light {
  float x = 0, y = 0, radius = 0;
};

// The colour of ground that is this near: 0 = the most distant, 1 = the nearest.
inline Rgb layer_color(const Mood& mood, float nearness) {
  return mix(mood.far, mood.near, nearness * nearness * 0.9f + 0.1f * nearness);
}

template <class Height>
std::vector<float> crest_of(const Canvas& canvas, Height height) {
  std::vector<float> crest(static_cast<std::size_t>(canvas.width()));
  for (int x = 0; x < canvas.width(); ++x) crest[static_cast<std::size_t>(x)] = height(canvas.view_x(x));
  return crest;
}

// The whole background down to `horizon`; below it the low sky colour goes on as haze.
Light sky(Canvas& canvas, const Mood& mood, Rng& rng, float horizon);

// Fills below the heights: from `top` at the crest to `foot` by `fade_over` lower (mist gathers in valleys).
void silhouette(Canvas& canvas, const std::vector<float>& crest, Rgb top, Rgb foot, float fade_over);

// A range whose flanks are lit from the light's side, with snow high up.
void mountains(Canvas& canvas, const Mood& mood, Rng& rng, const Light& light, float base, float tall, Rgb color);

// A row of fir trees on ground that sways around `base`.
void firs(Canvas& canvas, Rng& rng, float base, float sway, float spacing, float tall, Rgb color, Rgb foot);

// Turns everything below `level` into water that mirrors what stands above it, with a path of light under the sun.
void water(Canvas& canvas, const Mood& mood, const Light& light, float level, Rgb depth_color, float roughness,
           std::uint32_t seed);

void birds(Canvas& canvas, Rng& rng, const Light& light, Rgb color);

// Snowflakes and rain, where the mood has them.
void weather(Canvas& canvas, const Mood& mood, Rng& rng);

}  // namespace pixelfleet::engine::synthetic
