// Mood: the colours and the weather that the words of a prompt ask for.
//
// Words that name a time, a season or a colour count; the negative prompt takes words away; where the prompt is silent
// the seed chooses. `cfg` says how strongly the words count: low values wash the colours out.
#pragma once

#include <string_view>

#include "base/rng.h"
#include "engine/synthetic/canvas.h"

namespace pixelfleet::engine::synthetic {

struct Mood {
  Rgb sky_top, sky_low;       // top of the sky; at the horizon
  Rgb light;                  // sun, moon, lamps
  Rgb far, near;              // the most distant and the nearest ground
  Rgb accent, accent2;        // clothes, petals, roofs
  Rgb paper;                  // flat backgrounds
  float night = 0;            // 0 day .. 1 night
  float cloud = 0.4f;         // share of the sky
  float light_height = 0.4f;  // of the sun: 0 zenith .. 1 horizon
  bool snow = false;          // on the ground
  bool snowfall = false;
  bool rain = false;
  bool mist = false;
  bool animal = false;  // the prompt is about a fox, a cat, a wolf ...
};

Mood mood_of(std::string_view prompt, std::string_view negative_prompt, Rng& rng);

}  // namespace pixelfleet::engine::synthetic
