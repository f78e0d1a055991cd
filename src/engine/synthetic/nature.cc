#include "engine/synthetic/nature.h"

#include "engine/synthetic/noise.h"
#include "engine/synthetic/shapes.h"

namespace pixelfleet::engine::synthetic {
namespace {

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

}  // namespace

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

}  // namespace pixelfleet::engine::synthetic
