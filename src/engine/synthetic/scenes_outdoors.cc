// Landscapes: a sky, then silhouettes from far to near. A silhouette is a height for every column, which makes
// mountains, woods and skylines one cheap pass each, and water a mirrored copy of what stands above it.
#include <vector>

#include "engine/synthetic/noise.h"
#include "engine/synthetic/scenes.h"
#include "engine/synthetic/shapes.h"

namespace pixelfleet::engine::synthetic {
namespace {

constexpr Rgb kSnow{0.94f, 0.96f, 0.99f};

struct Light {
  float x = 0, y = 0, radius = 0;
};

void stars(Canvas& canvas, float amount, float down_to, std::uint32_t seed) {
  const int rows = static_cast<int>(down_to * flt(canvas.height()));
  const int cell = std::max(3, canvas.height() / 90);
  for (int cy = 0; cy * cell < rows; ++cy) {
    for (int cx = 0; cx * cell < canvas.width(); ++cx) {
      const float chance = lattice(cx, cy, seed);
      if (chance > 0.16f) continue;
      const float x = (flt(cx) + lattice(cx, cy, seed + 1)) * flt(cell) * canvas.pixel();
      const float y = (flt(cy) + lattice(cx, cy, seed + 2)) * flt(cell) * canvas.pixel();
      const float fade = 1 - smoothstep(0.45f * down_to, down_to, y);
      const float bright = amount * fade * (0.25f + 0.75f * chance / 0.16f);
      const float size = canvas.pixel() * (chance > 0.15f ? 2.6f : 1.5f);
      canvas.glow(x, y, size, Rgb{1.0f, 0.97f, 0.90f} * bright);
    }
  }
}

// The whole background down to `horizon`; below it the low sky colour goes on as haze.
Light sky(Canvas& canvas, const Mood& mood, Rng& rng, float horizon) {
  Light light;
  light.x = canvas.aspect() * between(rng, 0.18f, 0.82f);
  light.y = horizon * std::clamp(mood.light_height, 0.15f, 0.92f);
  light.radius = between(rng, 0.035f, 0.065f);

  for (int y = 0; y < canvas.height(); ++y) {
    const float down = saturate(canvas.view_y(y) / horizon);
    const Rgb color = mix(mood.sky_top, mood.sky_low, smoothstep(0, 1.05f, down) * 0.85f + 0.15f * down);
    Rgb* line = canvas.row(y);
    std::fill(line, line + canvas.width(), color);
  }
  if (mood.night > 0.3f) stars(canvas, mood.night, horizon, seed_of(rng));

  const float strength = mix(0.42f, 0.20f, mood.night);
  canvas.glow(light.x, light.y, 0.75f, mood.light * (strength * 0.45f));
  canvas.glow(light.x, light.y, 0.22f, mood.light * (strength * 0.60f));
  const Rgb disc = mix(mood.light, kWhite, 0.35f) * mix(1.45f, 1.0f, mood.night);
  const std::uint32_t craters = seed_of(rng);
  canvas.disc(light.x, light.y, light.radius, [&](float x, float y) {
    if (mood.night < 0.5f) return disc;
    return disc * (0.82f + 0.18f * fractal(x * 40, y * 40, craters, 3));
  });

  // Clouds lie flat near the horizon and catch the light on their lower side.
  const std::uint32_t seed = seed_of(rng);
  const Field cover(canvas, 4, [&](float x, float y) {
    const float depth = 1.6f + 3.2f * saturate(y / horizon);
    return fractal(x * 1.9f, y * depth * 2.1f, seed, 5, 0.52f);
  });
  const float threshold = 0.66f - 0.30f * mood.cloud;
  const Rgb lit = mix(mix(mood.sky_low, kWhite, 0.55f), mood.light, 0.35f) * mix(1.0f, 0.42f, mood.night);
  const Rgb shade = mix(mood.sky_low, mood.sky_top, 0.55f) * 0.95f;
  const int rows = static_cast<int>(horizon * flt(canvas.height()));
  for (int y = 0; y < std::min(rows, canvas.height()); ++y) {
    Rgb* line = canvas.row(y);
    const float vy = canvas.view_y(y);
    const float fade = 1 - smoothstep(0.80f * horizon, horizon, vy);
    for (int x = 0; x < canvas.width(); ++x) {
      const float vx = canvas.view_x(x);
      const float here = cover.at(vx, vy);
      const float density = smoothstep(threshold, threshold + 0.22f, here) * fade;
      if (density <= 0) continue;
      const float under = cover.at(vx, vy + 0.02f);
      const float side = saturate(0.5f + (here - under) * 7);
      line[x] = mix(line[x], mix(shade, lit, side), density * 0.85f);
    }
  }
  return light;
}

// Fills below the heights: from `top` at the crest to `foot` half a screen lower (mist gathers in valleys).
void silhouette(Canvas& canvas, const std::vector<float>& crest, Rgb top, Rgb foot, float fade_over) {
  const std::size_t last = crest.size() - 1;
  // On steep flanks a pixel of height is less than a pixel away from the edge.
  std::vector<float> sharpness(crest.size());
  for (std::size_t x = 0; x <= last; ++x) {
    const float rise = (crest[std::min(last, x + 1)] - crest[x == 0 ? 0 : x - 1]) * 0.5f * flt(canvas.height());
    sharpness[x] = flt(canvas.height()) / std::sqrt(1 + rise * rise);
  }
  for (int y = 0; y < canvas.height(); ++y) {
    Rgb* line = canvas.row(y);
    const float vy = canvas.view_y(y);
    for (std::size_t x = 0; x <= last; ++x) {
      const float under = vy - crest[x];
      const float coverage = saturate(under * sharpness[x] + 0.5f);
      if (coverage <= 0) continue;
      line[x] = mix(line[x], mix(top, foot, saturate(under / fade_over)), coverage);
    }
  }
}

template <class Height>
std::vector<float> crest_of(const Canvas& canvas, Height height) {
  std::vector<float> crest(static_cast<std::size_t>(canvas.width()));
  for (int x = 0; x < canvas.width(); ++x) crest[static_cast<std::size_t>(x)] = height(canvas.view_x(x));
  return crest;
}

// Sharp crests: folded noise in octaves.
float ridged(float x, std::uint32_t seed, int octaves) {
  float sum = 0, weight = 0.5f;
  for (int i = 0; i < octaves; ++i) {
    const float n = noise(x, 0.5f, seed + static_cast<std::uint32_t>(i));
    sum += weight * (1 - std::fabs(2 * n - 1));
    x = x * 2.1f + 3.7f;
    weight *= 0.5f;
  }
  return sum;
}

// Raises a crest by fir trees: a sawtooth of triangles with branches, every tree of its own height.
void grow_firs(const Canvas& canvas, std::vector<float>& crest, float spacing, float tall, std::uint32_t seed) {
  const std::vector<float> ground = crest;
  const int count = static_cast<int>(canvas.aspect() / spacing) + 2;
  for (int tree = -1; tree < count; ++tree) {
    if (lattice(tree, 7, seed) < 0.12f) continue;
    const float center = (flt(tree) + 0.2f + 0.6f * lattice(tree, 1, seed)) * spacing;
    const float height = tall * (0.45f + 0.55f * lattice(tree, 2, seed));
    const float half = height * (0.20f + 0.08f * lattice(tree, 3, seed));
    const int from = std::max(0, static_cast<int>((center - half) * flt(canvas.height())));
    const int to = std::min(canvas.width() - 1, static_cast<int>((center + half) * flt(canvas.height())) + 1);
    for (int x = from; x <= to; ++x) {
      const float away = std::fabs(canvas.view_x(x) - center) / half;
      if (away >= 1) continue;
      const float branch = 0.14f * std::fabs(std::fmod(away * 5.0f, 1.0f) - 0.5f);
      const float top = height * (1 - away - branch);
      float& here = crest[static_cast<std::size_t>(x)];
      here = std::min(here, ground[static_cast<std::size_t>(x)] - top);
    }
  }
}

// Turns everything below `level` into water that mirrors what stands above it, with a path of light under the sun.
void water(Canvas& canvas, const Mood& mood, const Light& light, float level, Rgb depth_color, float roughness,
           std::uint32_t seed) {
  const int first = static_cast<int>(level * flt(canvas.height()));
  std::vector<Rgb> mirrored;
  for (int y = first; y < canvas.height(); ++y) {
    const float depth = (flt(y - first) + 0.5f) / std::max(1.0f, flt(canvas.height() - first));
    const float wave = 1 / (0.04f + 0.96f * depth);  // ripples shrink toward the horizon
    mirrored.resize(static_cast<std::size_t>(canvas.width()));
    const float vy = canvas.view_y(y);
    for (int x = 0; x < canvas.width(); ++x) {
      const float vx = canvas.view_x(x);
      const float ripple = noise(vx * 2.2f * wave, flt(y - first) * 0.16f + vx, seed) - 0.5f;
      const float shift = ripple * roughness * (0.25f + depth) * flt(canvas.height());
      const int from = std::clamp(static_cast<int>(flt(2 * first - y) + shift), 0, std::max(0, first - 1));
      Rgb color = mix(canvas.row(from)[x], depth_color, 0.28f + 0.45f * depth);
      const float across = std::fabs(vx - light.x) / (0.03f + 0.16f * depth);
      const float glitter = std::exp(-across * across) * smoothstep(0.02f, 0.40f, ripple);
      color = color + mood.light * (glitter * mix(0.65f, 0.35f, mood.night));
      if (ripple > 0.36f) color = mix(color, mood.sky_low, 0.12f);
      mirrored[static_cast<std::size_t>(x)] = color;
    }
    std::copy(mirrored.begin(), mirrored.end(), canvas.row(y));
    if (vy - level < canvas.pixel() * 1.5f) {  // a thin bright line where water meets land
      for (int x = 0; x < canvas.width(); ++x) canvas.row(y)[x] = mix(canvas.row(y)[x], mood.sky_low, 0.35f);
    }
  }
}

void weather(Canvas& canvas, const Mood& mood, Rng& rng) {
  if (mood.snowfall) {
    for (int flake = 0; flake < 260; ++flake) {
      const float near = flt(rng.unit());
      const float radius = mix(0.0012f, 0.0055f, near * near * near);
      canvas.glow(flt(rng.unit()) * canvas.aspect(), flt(rng.unit()), radius * 2.0f, kWhite * mix(0.5f, 0.85f, near));
    }
  }
  if (mood.rain) {
    const Rgb streak = mix(mood.sky_low, kWhite, 0.5f);
    for (int drop = 0; drop < 240; ++drop) {
      const float x = flt(rng.unit()) * canvas.aspect(), y = flt(rng.unit()), length = between(rng, 0.02f, 0.06f);
      const float slant = 0.18f, half = canvas.pixel() * 0.5f;
      canvas.shape(
          x - length * slant, y, x, y + length,
          [=](float px, float py) { return std::fabs((px - x) + (py - y) * slant) - half; },
          [&](float px, float py) {
            return mix(canvas.row(std::min(canvas.height() - 1, static_cast<int>(py * flt(canvas.height()))))[std::min(
                           canvas.width() - 1, static_cast<int>(px * flt(canvas.height())))],
                       streak, 0.35f);
          });
    }
  }
}

Rgb layer_color(const Mood& mood, float nearness) {
  return mix(mood.far, mood.near, nearness * nearness * 0.9f + 0.1f * nearness);
}

void mountains(Canvas& canvas, const Mood& mood, Rng& rng, const Light& light, float base, float tall, Rgb color) {
  const std::uint32_t seed = seed_of(rng);
  const float stretch = between(rng, 1.3f, 2.1f);
  const auto height = [&](float x) { return base - tall * (ridged(x * stretch, seed, 6) - 0.25f); };
  const std::vector<float> crest = crest_of(canvas, height);
  silhouette(canvas, crest, color, mix(color, mood.sky_low, mood.mist ? 0.75f : 0.5f), tall * 1.1f);

  // Flanks turned to the light are brighter, and high ground carries snow. The relief runs down from the crest in
  // ridges: noise in coordinates that lean with the height below it.
  const Field rock(canvas, 2, [&](float x, float y) {
    const float lean = 0.10f * (noise(x * 5, y * 4, seed + 40) - 0.5f);
    const float spur = 1 - std::fabs(2 * noise((x + lean) * 11, y * 4.5f + 7, seed + 50) - 1);
    return 0.50f * spur + 0.50f * fractal(x * 24 + 3 * lean, y * 19, seed + 60, 3);
  });
  const float snow_depth = mood.snow ? 1.3f : 0.42f;
  const Rgb snow = mix(mix(kSnow * mix(1.0f, 0.45f, mood.night), mood.light, 0.14f), mood.sky_low, 0.18f);
  const Rgb snow_shade = mix(snow, mix(mood.sky_top, mood.far, 0.5f), 0.42f);
  const float step = light.x < canvas.aspect() * 0.5f ? -0.012f : 0.012f;
  for (int y = 0; y < canvas.height(); ++y) {
    const float vy = canvas.view_y(y);
    if (vy > base + tall * 0.4f) break;
    Rgb* line = canvas.row(y);
    for (int x = 0; x < canvas.width(); ++x) {
      const float under = vy - crest[static_cast<std::size_t>(x)];
      if (under <= 0) continue;
      const float vx = canvas.view_x(x);
      const float here = rock.at(vx, vy);
      const float facing = smoothstep(-0.22f, 0.22f, here - rock.at(vx + step, vy));
      const float crest_fade = 1 - saturate(under / (tall * 0.9f));
      line[x] = mix(line[x], mix(line[x] * 0.74f, line[x] * 1.14f + mood.light * 0.05f, facing), crest_fade);
      const float above = (base - tall * 0.20f - vy) / tall * snow_depth + (here - 0.5f) * 0.62f - under / tall * 0.55f;
      const float white = smoothstep(0.06f, 0.12f, above) * saturate(under * flt(canvas.height()));
      if (white > 0) line[x] = mix(line[x], mix(snow_shade, snow, facing), white * 0.95f);
    }
  }
}

void firs(Canvas& canvas, Rng& rng, float base, float sway, float spacing, float tall, Rgb color, Rgb foot) {
  const std::uint32_t seed = seed_of(rng);
  std::vector<float> crest =
      crest_of(canvas, [&](float x) { return base - sway * (fractal(x * 1.6f, 3.3f, seed, 3) - 0.5f); });
  grow_firs(canvas, crest, spacing, tall, seed + 9);
  silhouette(canvas, crest, color, foot, tall * 1.6f);
}

void birds(Canvas& canvas, Rng& rng, const Light& light, Rgb color) {
  const int count = 3 + static_cast<int>(rng.below(5));
  for (int i = 0; i < count; ++i) {
    const float x = light.x + between(rng, -0.22f, 0.22f), y = light.y + between(rng, -0.14f, 0.10f);
    const float span = between(rng, 0.008f, 0.016f), thick = canvas.pixel() * 0.9f;
    canvas.shape(
        x - span, y - span, x + span, y + span,
        [=](float px, float py) {
          const float side = std::fabs(px - x) / span;
          if (side > 1) return 1.0f;
          return std::fabs(py - y + span * (0.55f * std::sin(side * kPi * 0.8f))) - thick * (1.2f - side);
        },
        [=](float, float) { return color; });
  }
}

// A fox-like animal that sits and looks up, seen from the side; `s` is its height.
void sitting_animal(Canvas& canvas, const Mood& mood, float x, float foot, float s, float way) {
  const Rgb fur = mood.accent * mix(1.0f, 0.62f, mood.night),
            pale = mix(mix(kSnow, fur, 0.12f), mood.near, 0.35f * mood.night);
  const Rgb dark = mix(fur, kInk, 0.55f);
  const auto at = [=](float right) { return x + way * right * s; };
  const auto heading = [=](float angle) { return way > 0 ? angle : kPi - angle; };
  fill_ellipse(canvas, x, foot, 0.42f * s, 0.035f * s, mix(mood.near, mood.sky_top, 0.35f));
  leaf(canvas, at(-0.10f), foot - 0.06f * s, heading(kPi + 0.30f), 0.62f * s, 0.24f * s, fur, mix(fur, pale, 0.5f));
  fill_ellipse(canvas, at(-0.60f), foot - 0.212f * s, 0.075f * s, 0.048f * s, pale);
  fill_ellipse(canvas, at(-0.06f), foot - 0.20f * s, 0.23f * s, 0.21f * s, mix(fur, dark, 0.25f));
  leaf(canvas, at(-0.02f), foot - 0.02f * s, heading(-kPi / 2 + 0.16f), 0.72f * s, 0.42f * s, fur,
       mix(fur, kWhite, 0.15f));
  leaf(canvas, at(0.12f), foot - 0.16f * s, heading(-kPi / 2 + 0.06f), 0.42f * s, 0.17f * s, pale, pale);
  for (const float leg : {0.07f, 0.15f}) {
    stroke(canvas, at(leg), foot - 0.28f * s, at(leg + 0.02f), foot - 0.02f * s, 0, 0.065f * s,
           leg > 0.1f ? fur : dark);
    fill_ellipse(canvas, at(leg + 0.04f), foot - 0.02f * s, 0.050f * s, 0.026f * s, mix(fur, kInk, 0.8f));
  }
  for (const float ear : {0.0f, 0.12f}) {
    leaf(canvas, at(0.03f + ear), foot - 0.76f * s, heading(-kPi / 2 - 0.22f + ear * 2), 0.27f * s, 0.15f * s, dark,
         fur);
  }
  fill_ellipse(canvas, at(0.10f), foot - 0.70f * s, 0.150f * s, 0.125f * s, fur);
  leaf(canvas, at(0.06f), foot - 0.69f * s, heading(0.10f), 0.36f * s, 0.17f * s, fur, mix(fur, pale, 0.5f));
  leaf(canvas, at(0.06f), foot - 0.645f * s, heading(0.0f), 0.30f * s, 0.10f * s, pale, pale);
  fill_ellipse(canvas, at(0.405f), foot - 0.655f * s, 0.024f * s, 0.020f * s, kInk);
  fill_ellipse(canvas, at(0.165f), foot - 0.725f * s, 0.017f * s, 0.020f * s, kInk);
}

void tower(Canvas& canvas, const Mood& mood, Rng& rng, float left, float width, float top, Rgb color, float lit_share,
           float lit_strength) {
  const float size = flt(canvas.height());
  const Rgb lit_edge = mix(color, mood.light, 0.16f);
  const auto box = [=](float x, float y) { return std::max({left - x, x - (left + width), top - y}); };
  canvas.shape(left, top, left + width, 1, box, [=](float x, float y) {
    const Rgb wall = mix(color, lit_edge, saturate((x - left) / width) * 0.7f);
    return mix(wall, mood.sky_low, 0.30f * smoothstep(0.55f, 1.0f, y));
  });
  if (rng.chance(0.30)) {  // a mast
    const float x0 = left + width * 0.5f, half = canvas.pixel() * 0.6f, high = between(rng, 0.02f, 0.06f);
    canvas.shape(
        x0 - half, top - high, x0 + half, top, [=](float x, float) { return std::fabs(x - x0) - half; },
        [=](float, float) { return color; });
    if (mood.night > 0.4f) canvas.glow(x0, top - high, 0.012f, Rgb{0.9f, 0.15f, 0.12f});
  }
  const float pitch_x = std::max(width / std::max(3.0f, std::floor(width / 0.014f)), 3 / size);
  const float pitch_y = std::max(0.019f, 4 / size);
  const std::uint32_t seed = seed_of(rng);
  for (int row = 0; top + (flt(row) + 1.4f) * pitch_y < 1; ++row) {
    for (int column = 0; (flt(column) + 1) * pitch_x < width - pitch_x * 0.3f; ++column) {
      const bool lit = lattice(column, row, seed) < lit_share;
      const float x = left + (flt(column) + 0.55f) * pitch_x, y = top + (flt(row) + 0.7f) * pitch_y;
      const float warm = lattice(column, row, seed + 1);
      const Rgb glass = lit ? mix(mood.light, warm > 0.8f ? mood.accent2 : mood.accent, warm > 0.6f ? 0.45f : 0.1f)
                            : mix(color, mood.sky_top, 0.35f);
      const float amount = lit ? lit_strength * (0.6f + 0.4f * warm) : 0.45f;
      const int x0 = std::max(0, static_cast<int>(x * size)), y0 = static_cast<int>(y * size);
      const int x1 = std::min(canvas.width(), static_cast<int>((x + pitch_x * 0.52f) * size) + 1);
      const int y1 = std::min(canvas.height(), static_cast<int>((y + pitch_y * 0.48f) * size) + 1);
      for (int py = y0; py < y1; ++py) {
        for (int px = x0; px < x1; ++px) canvas.row(py)[px] = mix(canvas.row(py)[px], glass, amount);
      }
    }
  }
}

}  // namespace

void paint_landscape(Canvas& canvas, const Mood& mood, Rng& rng) {
  const float horizon = between(rng, 0.56f, 0.66f);
  const Light light = sky(canvas, mood, rng, horizon);
  mountains(canvas, mood, rng, light, horizon + 0.02f, between(rng, 0.34f, 0.46f), mix(mood.far, mood.sky_low, 0.35f));
  mountains(canvas, mood, rng, light, horizon + 0.06f, between(rng, 0.20f, 0.30f), layer_color(mood, 0.35f));
  const bool lake = rng.chance(0.6);
  if (lake) {
    firs(canvas, rng, horizon + 0.06f, 0.05f, 0.016f, 0.05f, layer_color(mood, 0.62f), layer_color(mood, 0.5f));
    water(canvas, mood, light, horizon + 0.085f, mix(mood.sky_top, mood.near, 0.4f), 0.05f, seed_of(rng));
  } else {
    for (int i = 0; i < 3; ++i) {
      const float nearness = 0.5f + 0.12f * flt(i);
      const Rgb ground = mood.snow ? mix(kSnow * mix(1.0f, 0.4f, mood.night), layer_color(mood, nearness), 0.25f)
                                   : layer_color(mood, nearness);
      const std::uint32_t seed = seed_of(rng);
      const float base = horizon + 0.07f + 0.07f * flt(i);
      silhouette(canvas, crest_of(canvas, [&](float x) { return base - 0.10f * fractal(x * 1.1f, 2, seed, 4, 0.4f); }),
                 ground, mix(ground, mood.sky_low, 0.35f), 0.16f);
      firs(canvas, rng, base + 0.02f, 0.03f, 0.028f, 0.05f + 0.02f * flt(i), layer_color(mood, nearness + 0.15f),
           layer_color(mood, nearness));
    }
  }
  birds(canvas, rng, light, mix(mood.near, mood.far, 0.3f));
  firs(canvas, rng, 0.99f, 0.10f, 0.085f, between(rng, 0.16f, 0.26f), layer_color(mood, 1.0f),
       layer_color(mood, 0.95f));
  if (mood.animal) {
    const float center = canvas.aspect() * between(rng, 0.32f, 0.68f);
    const Rgb ground =
        mood.snow ? mix(kSnow * mix(1.0f, 0.4f, mood.night), mood.sky_low, 0.2f) : layer_color(mood, 0.85f);
    const std::uint32_t seed = seed_of(rng);
    silhouette(canvas, crest_of(canvas, [&](float x) { return 0.90f + 0.10f * fractal(x * 1.7f, 6, seed, 3) - 0.05f; }),
               ground, mix(ground, mood.sky_top, 0.35f), 0.16f);
    sitting_animal(canvas, mood, center, 0.945f, between(rng, 0.30f, 0.38f),
                   center < canvas.aspect() * 0.5f ? 1.0f : -1.0f);
  }
  weather(canvas, mood, rng);
}

void paint_seascape(Canvas& canvas, const Mood& mood, Rng& rng) {
  const float horizon = between(rng, 0.48f, 0.58f);
  const Light light = sky(canvas, mood, rng, horizon);
  if (rng.chance(0.7)) {  // an island
    const float center = canvas.aspect() * between(rng, 0.2f, 0.8f), half = between(rng, 0.12f, 0.26f);
    const float tall = between(rng, 0.05f, 0.13f);
    const std::uint32_t seed = seed_of(rng);
    const std::vector<float> crest = crest_of(canvas, [&](float x) {
      const float away = (x - center) / half;
      return horizon + 0.01f - tall * std::max(0.0f, 1 - away * away) * (0.4f + ridged(x * 6, seed, 4));
    });
    silhouette(canvas, crest, layer_color(mood, 0.4f), mix(layer_color(mood, 0.4f), mood.sky_low, 0.4f), tall);
  }
  water(canvas, mood, light, horizon, mix(mood.near, mood.sky_top, 0.55f), 0.10f, seed_of(rng));
  // A small boat with one sail.
  const float bx = canvas.aspect() * between(rng, 0.25f, 0.75f), by = horizon + between(rng, 0.06f, 0.16f);
  const float s = between(rng, 0.05f, 0.09f);
  canvas.shape(
      bx - s, by - 1.5f * s, bx + s, by,
      [=](float x, float y) {
        const float up = (by - 0.1f * s - y) / (1.3f * s);
        return std::max({-up * s, (up - 1) * s, (bx - 0.05f * s) - x + 0.0f, (x - bx) - (1 - up) * 0.6f * s});
      },
      [=](float x, float) {
        return mix(kSnow, mood.accent, saturate((x - bx) / (0.6f * s))) * mix(1.0f, 0.6f, mood.night);
      });
  canvas.shape(
      bx - s, by - 0.1f * s, bx + s, by + 0.2f * s,
      [=](float x, float y) {
        const float down = (y - by) / (0.16f * s);
        return std::max({-down * s, (down - 1) * s * 0.16f, std::fabs(x - bx) - s * (0.7f - 0.2f * down)});
      },
      [=](float, float) { return layer_color(mood, 1.0f); });
  birds(canvas, rng, light, mix(mood.near, mood.far, 0.3f));
  weather(canvas, mood, rng);
}

void paint_forest(Canvas& canvas, const Mood& mood, Rng& rng) {
  const Light light = sky(canvas, mood, rng, 0.85f);
  const Rgb mist = mix(mood.sky_low, mood.light, 0.3f);
  for (int layer = 0; layer < 5; ++layer) {
    const float nearness = flt(layer) / 4;
    const Rgb color = mix(mix(mood.far, mist, 0.45f), mood.near * 0.85f, nearness);
    const float base = mix(0.62f, 1.02f, nearness);
    firs(canvas, rng, base, 0.08f, mix(0.035f, 0.15f, nearness), mix(0.20f, 0.62f, nearness), color,
         mix(color, mist, mix(0.85f, 0.25f, nearness)));
    if (layer == 2) canvas.glow(light.x, 0.60f, 0.7f, mood.light * mix(0.20f, 0.06f, mood.night));
  }
  // Shafts of light from the upper side.
  if (mood.night < 0.6f) {
    for (int i = 0; i < 6; ++i) {
      const float x0 = light.x + between(rng, -0.35f, 0.35f), width = between(rng, 0.012f, 0.05f);
      const float lean = (x0 - light.x) * 0.9f + 0.10f;
      const float amount = between(rng, 0.05f, 0.13f);
      for (int y = 0; y < canvas.height(); ++y) {
        const float vy = canvas.view_y(y), center = x0 + lean * vy, reach = width * (1 + vy);
        const int from = std::max(0, static_cast<int>((center - reach) * flt(canvas.height())));
        const int to = std::min(canvas.width(), static_cast<int>((center + reach) * flt(canvas.height())));
        for (int x = from; x < to; ++x) {
          const float away = (canvas.view_x(x) - center) / reach;
          canvas.row(y)[x] = canvas.row(y)[x] + mood.light * (amount * (1 - away * away) * (1 - vy));
        }
      }
    }
  }
  weather(canvas, mood, rng);
}

void paint_desert(Canvas& canvas, const Mood& mood, Rng& rng) {
  const float horizon = between(rng, 0.46f, 0.56f);
  const Light light = sky(canvas, mood, rng, horizon);
  mountains(canvas, mood, rng, light, horizon + 0.03f, 0.14f, mix(mood.far, mood.sky_low, 0.5f));
  const float sunward = light.x < canvas.aspect() * 0.5f ? -1.0f : 1.0f;
  for (int layer = 0; layer < 5; ++layer) {
    const float nearness = flt(layer) / 4;
    const float base = horizon + 0.03f + 0.11f * flt(layer), tall = 0.06f + 0.06f * nearness;
    const float stretch = between(rng, 1.2f, 2.0f) * mix(1.6f, 0.8f, nearness), phase = flt(rng.unit()) * 9;
    const std::uint32_t seed = seed_of(rng);
    const std::vector<float> crest = crest_of(canvas, [&](float x) {
      const float wave = std::sin(x * stretch * 2.2f + phase + 1.4f * noise(x, 1, seed));
      return base - tall * (1 - std::fabs(wave));
    });
    const Rgb lit = mix(mix(mood.far, mood.light, 0.35f), mood.near, nearness * 0.45f);
    const Rgb dark = mix(mood.far, mood.near, 0.35f + 0.6f * nearness);
    const float size = flt(canvas.height());
    for (int y = 0; y < canvas.height(); ++y) {
      Rgb* line = canvas.row(y);
      const float vy = canvas.view_y(y);
      for (int x = 0; x < canvas.width(); ++x) {
        const float under = vy - crest[static_cast<std::size_t>(x)];
        const float coverage = saturate(under * size + 0.5f);
        if (coverage <= 0) continue;
        const float vx = canvas.view_x(x);
        const float wave = vx * stretch * 2.2f + phase + 1.4f * noise(vx, 1, seed) + under * 5;
        const float facing = smoothstep(-0.15f, 0.15f, std::sin(wave) * std::cos(wave) * sunward);
        const float ripples = 0.03f * std::sin((under * 260 + vx * 60 + 6 * noise(vx * 5, under * 9, seed)) * 0.8f);
        line[x] = mix(line[x], mix(dark, lit, facing * (1 - 0.4f * saturate(under * 3))) * (1 + ripples), coverage);
      }
    }
  }
  birds(canvas, rng, light, mood.near);
}

void paint_city(Canvas& canvas, const Mood& mood, Rng& rng) {
  const float horizon = between(rng, 0.72f, 0.80f);
  const Light light = sky(canvas, mood, rng, horizon);
  const bool river = rng.chance(0.6);
  const float lit_share = mix(0.10f, 0.55f, saturate(mood.night + 0.25f * mood.light_height));
  for (int layer = 0; layer < 4; ++layer) {
    const float nearness = flt(layer) / 3;
    const Rgb color = mix(mix(mood.far, mood.sky_low, 0.40f), mood.near, nearness * 0.92f);
    float x = -0.02f;
    const std::uint32_t seed = seed_of(rng);
    while (x < canvas.aspect()) {
      const float width = between(rng, 0.035f, 0.075f) * mix(0.8f, 1.7f, nearness);
      const float hill = 0.55f + 0.75f * noise(x * 2.4f, 1, seed);
      const float tall = between(rng, 0.16f, 0.42f) * hill * mix(1.45f, 0.75f, nearness);
      tower(canvas, mood, rng, x, width, horizon + 0.06f * nearness - tall, color,
            lit_share * mix(0.4f, 1.0f, nearness), mix(0.35f, 0.95f, nearness));
      x += width + (rng.chance(0.35) ? between(rng, 0.0f, 0.03f) : 0.0f);
    }
    if (mood.mist || layer < 2) canvas.glow(light.x, horizon, 0.8f, mood.sky_low * 0.05f);
  }
  if (river) water(canvas, mood, light, horizon + 0.09f, mix(mood.near, mood.sky_top, 0.3f), 0.09f, seed_of(rng));
  weather(canvas, mood, rng);
}

void paint_aurora(Canvas& canvas, const Mood& mood, Rng& rng) {
  Mood dark = mood;
  dark.night = 1;
  dark.cloud = 0.1f;
  dark.sky_top = mix(Rgb{0.02f, 0.03f, 0.10f}, mood.sky_top, 0.12f);
  dark.sky_low = mix(Rgb{0.10f, 0.20f, 0.33f}, mood.sky_low, 0.15f);
  dark.far = mix(Rgb{0.13f, 0.20f, 0.32f}, mood.far, 0.2f);
  dark.near = Rgb{0.015f, 0.025f, 0.05f};
  const float horizon = between(rng, 0.66f, 0.74f);
  const Light light = sky(canvas, dark, rng, horizon);
  const Rgb green = mix(Rgb{0.25f, 0.95f, 0.60f}, mood.accent, 0.25f),
            violet = mix(Rgb{0.60f, 0.30f, 0.95f}, mood.accent2, 0.2f);
  for (int curtain = 0; curtain < 3; ++curtain) {
    const std::uint32_t seed = seed_of(rng);
    const float base = between(rng, 0.34f, 0.52f), tall = between(rng, 0.24f, 0.36f);
    for (int x = 0; x < canvas.width(); ++x) {
      const float vx = canvas.view_x(x);
      const float foot =
          base + 0.20f * (fractal(vx * 1.1f, 1, seed, 3) - 0.5f) + 0.05f * std::sin(vx * 5 + flt(curtain));
      const float rays = 0.35f + 0.65f * fractal(vx * 22, 4, seed + 3, 2);
      const float strength = smoothstep(0.25f, 0.7f, noise(vx * 1.4f, 8, seed + 5)) * rays * 0.75f;
      const int to = std::min(canvas.height() - 1, static_cast<int>((foot + 0.03f) * flt(canvas.height())));
      const int from = std::max(0, static_cast<int>((foot - tall) * flt(canvas.height())));
      for (int y = from; y <= to; ++y) {
        const float up = (foot - canvas.view_y(y)) / tall;
        const float shape = up < 0 ? saturate(1 + up * tall / 0.03f) : (1 - up) * (1 - up);
        canvas.row(y)[x] = canvas.row(y)[x] + mix(green, violet, smoothstep(0.15f, 0.85f, up)) * (shape * strength);
      }
    }
  }
  dark.snow = true;
  mountains(canvas, dark, rng, light, horizon + 0.04f, 0.26f, dark.far);
  firs(canvas, rng, horizon + 0.05f, 0.04f, 0.018f, 0.07f, layer_color(dark, 0.85f), layer_color(dark, 0.7f));
  water(canvas, dark, light, horizon + 0.08f, Rgb{0.03f, 0.07f, 0.13f}, 0.04f, seed_of(rng));
  firs(canvas, rng, 1.0f, 0.10f, 0.10f, 0.24f, dark.near, dark.near);
  weather(canvas, mood, rng);
}

}  // namespace pixelfleet::engine::synthetic
