// The outdoor scenes: each a sky and what stands under it, from far to near.
#include <vector>

#include "engine/synthetic/nature.h"
#include "engine/synthetic/noise.h"
#include "engine/synthetic/scenes.h"
#include "engine/synthetic/shapes.h"

namespace pixelfleet::engine::synthetic {
namespace {

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
