// Studies: flows of colour, planets, plants, geometric posters and the sea from below.
#include <array>
#include <vector>

#include "engine/synthetic/noise.h"
#include "engine/synthetic/scenes.h"
#include "engine/synthetic/shapes.h"

namespace pixelfleet::engine::synthetic {

void paint_abstract(Canvas& canvas, const Mood& mood, Rng& rng) {
  const std::uint32_t seed = seed_of(rng);
  const float zoom = between(rng, 1.1f, 2.0f), turn = flt(rng.unit()) * 2 * kPi, swirl = between(rng, 1.2f, 2.6f);
  const float ux = std::cos(turn), uy = std::sin(turn);
  const Field flow(canvas, 3, [&](float px, float py) {
    const float x = (px * ux - py * uy) * zoom, y = (px * uy + py * ux) * zoom * 0.7f;
    const float a = fractal(x, y, seed, 3), b = fractal(x + 5.2f, y + 1.3f, seed + 31, 3);
    return fractal(x + swirl * a, y + swirl * b, seed + 77, 4, 0.45f);
  });
  const std::array<Rgb, 6> ramp{mood.near, mood.sky_top, mood.accent, mood.accent2, mood.sky_low, mood.far};
  const float bands = between(rng, 7, 15), relief = between(rng, 2.5f, 4.5f), step = 2 * canvas.pixel();
  const float crisp = between(rng, 0.15f, 0.7f);
  for (int y = 0; y < canvas.height(); ++y) {
    Rgb* line = canvas.row(y);
    const float vy = canvas.view_y(y);
    for (int x = 0; x < canvas.width(); ++x) {
      const float vx = canvas.view_x(x);
      const float value = flow.at(vx, vy);
      const float slope_x = flow.at(vx + step, vy) - value, slope_y = flow.at(vx, vy + step) - value;
      const float level = value * bands;
      const float stair = std::floor(level) +
                          smoothstep(0.5f - 0.5f * (1 - crisp), 0.5f + 0.5f * (1 - crisp), level - std::floor(level));
      const float t = std::clamp(stair / bands * 1.9f - 0.45f, 0.0f, 0.999f) * flt(static_cast<int>(ramp.size()) - 1);
      const std::size_t i = static_cast<std::size_t>(t);
      const Rgb color = mix(ramp[i], ramp[i + 1], t - static_cast<float>(i));
      const float light = (slope_x * ux + slope_y * 0.8f) / step * 0.10f * relief;
      const float sheen = std::pow(saturate(0.5f + light), 6.0f);
      line[x] = color * (0.86f + std::clamp(light, -0.5f, 0.5f)) + mood.light * (sheen * 0.30f);
    }
  }
}

void paint_space(Canvas& canvas, const Mood& mood, Rng& rng) {
  const std::uint32_t seed = seed_of(rng);
  const Rgb deep = mix(Rgb{0.015f, 0.018f, 0.05f}, mood.sky_top * 0.18f, 0.4f);
  const Rgb gas1 = mix(mood.accent, Rgb{0.30f, 0.35f, 0.95f}, 0.25f), gas2 = mix(mood.accent2, mood.sky_top, 0.35f);
  const Field gas(canvas, 4, [&](float x, float y) {
    const float a = fractal(x * 1.6f, y * 1.6f, seed, 4);
    return fractal(x * 1.7f + 1.9f * a, y * 1.7f - 1.4f * a, seed + 11, 5, 0.55f);
  });
  const Field tone(canvas, 6, [&](float x, float y) { return fractal(x * 1.1f + 4, y * 1.1f, seed + 21, 3); });
  for (int y = 0; y < canvas.height(); ++y) {
    Rgb* line = canvas.row(y);
    const float vy = canvas.view_y(y);
    for (int x = 0; x < canvas.width(); ++x) {
      const float vx = canvas.view_x(x);
      const float dense = smoothstep(0.38f, 0.74f, gas.at(vx, vy));
      const Rgb color = mix(gas1, gas2, smoothstep(0.35f, 0.65f, tone.at(vx, vy)));
      line[x] = deep + color * (dense * 0.75f) + kWhite * (dense * dense * dense * 0.22f);
    }
  }
  for (int i = 0; i < 420; ++i) {
    const float bright = std::pow(flt(rng.unit()), 3.0f);
    const float x = flt(rng.unit()) * canvas.aspect(), y = flt(rng.unit());
    canvas.glow(x, y, canvas.pixel() * (1.3f + 3.2f * bright),
                mix(kWhite, mix(gas1, mood.light, 0.5f), flt(rng.unit()) * 0.5f) * (0.35f + 0.9f * bright));
    if (bright > 0.9f) canvas.glow(x, y, 0.03f, mood.light * 0.22f);
  }
  // A planet, lit from one side, with bands and perhaps a ring.
  const float cx = canvas.aspect() * between(rng, 0.30f, 0.70f), cy = between(rng, 0.40f, 0.66f);
  const float radius = between(rng, 0.16f, 0.28f) * std::min(1.0f, canvas.aspect() * 1.3f);
  const float lx = between(rng, -0.75f, 0.75f), ly = -0.45f, lz = 0.55f;
  const float tilt = between(rng, -0.5f, 0.5f), squash = between(rng, 0.18f, 0.32f);
  const float ct = std::cos(tilt), st = std::sin(tilt);
  const bool ringed = rng.chance(0.6);
  const Rgb land = mix(mood.sky_low, mood.accent2, 0.35f), sea = mix(mood.far, mood.accent, 0.45f);
  const std::uint32_t relief = seed_of(rng);
  canvas.glow(cx, cy, radius * 1.35f, mix(mood.light, gas1, 0.6f) * 0.28f);
  const auto ring = [&](bool front) {
    if (!ringed) return;
    const float outer = radius * 2.05f;
    canvas.shape(
        cx - outer, cy - outer, cx + outer, cy + outer,
        [=](float x, float y) {
          const float rx = (x - cx) * ct + (y - cy) * st, ry = (-(x - cx) * st + (y - cy) * ct);
          if ((ry > 0) != front) return 1.0f;
          const float d = std::hypot(rx, ry / squash) / radius;
          return std::fabs(d - 1.65f) < 0.36f && std::fabs(d - 1.72f) > 0.025f ? -1.0f : 1.0f;
        },
        [=, &canvas](float x, float y) {
          const float rx = (x - cx) * ct + (y - cy) * st, ry = (-(x - cx) * st + (y - cy) * ct);
          const float d = std::hypot(rx, ry / squash) / radius;
          const Rgb under = canvas.row(std::clamp(
              static_cast<int>(y * flt(canvas.height())), 0,
              canvas.height() - 1))[std::clamp(static_cast<int>(x * flt(canvas.height())), 0, canvas.width() - 1)];
          return mix(under, mix(land, kWhite, 0.3f), 0.35f + 0.4f * noise(d * 34, 1, relief));
        });
  };
  ring(false);
  canvas.disc(cx, cy, radius, [=](float x, float y) {
    const float nx = (x - cx) / radius, ny = (y - cy) / radius;
    const float nz = std::sqrt(std::max(0.0f, 1 - nx * nx - ny * ny));
    const float by = -nx * st + ny * ct;
    const float warp = fractal(nx * 2.2f / (0.45f + nz), by * 2.5f, relief, 4);
    const float band = fractal(warp * 1.6f, by * 7 + warp * 1.8f, relief + 7, 3);
    const float sun = saturate((nx * lx + ny * ly + nz * lz) / std::hypot(lx, ly, lz) * 1.15f + 0.08f);
    const Rgb surface = mix(sea, land, smoothstep(0.35f, 0.65f, band));
    const float rim = std::pow(1 - nz, 3.0f);
    return surface * (0.05f + 1.05f * sun) + mix(mood.light, gas1, 0.5f) * (rim * sun * 0.6f);
  });
  ring(true);
}

void paint_botanical(Canvas& canvas, const Mood& mood, Rng& rng) {
  vertical_gradient(canvas, mix(mood.paper, kWhite, 0.25f * (1 - mood.night)), mix(mood.paper, mood.sky_low, 0.35f));
  const Rgb green = mix(Rgb{0.20f, 0.42f, 0.28f}, mood.near, 0.45f);
  const int stems = 5 + static_cast<int>(rng.below(4));
  for (int stem = 0; stem < stems; ++stem) {
    const float depth = flt(stem) / flt(stems - 1);  // far to near
    const float x0 = canvas.aspect() * between(rng, 0.25f, 0.75f), y0 = 1.05f;
    const float x1 = canvas.aspect() * between(rng, 0.12f, 0.88f), y1 = between(rng, 0.16f, 0.56f);
    const float bend = between(rng, -0.10f, 0.10f);
    const Rgb leaf_color = mix(mix(green, mood.paper, 0.55f), green, depth);
    stroke(canvas, x0, y0, x1, y1, bend, 0.007f + 0.005f * depth, leaf_color * 0.85f);
    const int leaves = 3 + static_cast<int>(rng.below(4));
    const float angle = std::atan2(y1 - y0, x1 - x0);
    const float length = std::hypot(x1 - x0, y1 - y0), nx = -(y1 - y0) / length, ny = (x1 - x0) / length;
    for (int i = 0; i < leaves; ++i) {
      const float t = between(rng, 0.15f, 0.85f), curve = bend * 4 * t * (1 - t), side = rng.chance(0.5) ? 1.0f : -1.0f;
      leaf(canvas, mix(x0, x1, t) + nx * curve, mix(y0, y1, t) + ny * curve, angle + side * between(rng, 0.4f, 1.0f),
           between(rng, 0.12f, 0.22f), between(rng, 0.045f, 0.085f), leaf_color, mix(leaf_color, mood.light, 0.35f));
    }
    const int petals = 5 + static_cast<int>(rng.below(6));
    const float size = between(rng, 0.09f, 0.15f) * mix(0.75f, 1.15f, depth), spin = flt(rng.unit()) * kPi;
    const Rgb petal = mix(mix(mood.accent, mood.accent2, flt(rng.unit())), mood.paper, 0.35f * (1 - depth));
    for (int ring = 0; ring < 2; ++ring) {
      for (int i = 0; i < petals; ++i) {
        const float a = spin + flt(ring) * kPi / flt(petals) + 2 * kPi * flt(i) / flt(petals);
        leaf(canvas, x1, y1, a, size * (ring == 0 ? 1.0f : 0.68f), size * (ring == 0 ? 0.62f : 0.42f),
             petal * (ring == 0 ? 0.86f : 1.0f), mix(petal, kWhite, 0.45f));
      }
    }
    canvas.disc(x1, y1, size * 0.20f, [=](float x, float y) {
      return mix(mix(mood.accent2, mood.light, 0.4f), green,
                 saturate(std::hypot(x - x1, y - y1) / (size * 0.2f) * 0.8f));
    });
  }
}

void paint_geometry(Canvas& canvas, const Mood& mood, Rng& rng) {
  const int rows = 4 + static_cast<int>(rng.below(4));
  const float cell = 1.0f / flt(rows);
  const int columns = static_cast<int>(canvas.aspect() / cell) + 1;
  const Rgb paper = mix(mood.paper, kWhite, 0.15f * (1 - mood.night));
  vertical_gradient(canvas, paper, mix(paper, mood.sky_low, 0.2f));
  const std::array<Rgb, 6> inks{mood.accent, mood.accent2, mood.near,
                                mood.far,    mood.sky_top, mix(mood.light, paper, 0.3f)};
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      const float x0 = flt(column) * cell, y0 = flt(row) * cell;
      const Rgb ground = inks[rng.below(inks.size())], ink = inks[rng.below(inks.size())],
                ink2 = inks[rng.below(inks.size())];
      const int form = static_cast<int>(rng.below(7)), corner = static_cast<int>(rng.below(4));
      const float kx = x0 + (corner % 2 == 0 ? 0 : cell), ky = y0 + (corner < 2 ? 0 : cell);
      const float mx = x0 + cell / 2, my = y0 + cell / 2;
      const auto box = [=](float x, float y) { return std::max({x0 - x, x - x0 - cell, y0 - y, y - y0 - cell}); };
      if (form != 6)
        canvas.shape(x0, y0, x0 + cell, y0 + cell, box, [=](float, float) { return mix(ground, paper, 0.12f); });
      const auto inside = [&](auto distance, Rgb color) {
        canvas.shape(
            x0, y0, x0 + cell, y0 + cell, [=](float x, float y) { return std::max(box(x, y), distance(x, y)); },
            [=](float x, float y) { return mix(color, mood.light, 0.10f * ((x - x0) + (y0 + cell - y)) / cell); });
      };
      switch (form) {
        case 0:
          inside([=](float x, float y) { return std::hypot(x - kx, y - ky) - cell; }, ink);
          inside([=](float x, float y) { return std::hypot(x - kx, y - ky) - cell * 0.5f; }, ink2);
          break;
        case 1:
          inside([=](float x, float y) { return std::hypot(x - mx, y - my) - cell * 0.40f; }, ink);
          inside([=](float x, float y) { return std::hypot(x - mx, y - my) - cell * 0.17f; }, ink2);
          break;
        case 2: {
          const float sx = corner % 2 == 0 ? 1.0f : -1.0f;
          inside([=](float x, float y) { return (sx * (x - mx) + (y - my)) * 0.70711f; }, ink);
          break;
        }
        case 3:
          inside([=](float,
                     float y) { return std::fabs(std::fmod((y - y0) / cell * 4, 1.0f) - 0.5f) * cell / 4 - cell / 16; },
                 ink);
          break;
        case 4:
          inside([=](float x, float y) { return std::max(std::hypot(x - mx, y - y0) - cell * 0.5f, y0 - y); }, ink);
          inside([=](float x, float y) { return std::hypot(x - mx, y - y0 - cell) - cell * 0.5f; }, ink2);
          break;
        case 5:
          inside(
              [=](float x, float y) {
                return std::max(std::hypot(x - kx, y - ky) - cell,
                                cell - std::hypot(x - (2 * mx - kx), y - (2 * my - ky)));
              },
              ink);
          inside(
              [=](float x, float y) {
                return std::max(std::hypot(x - kx, y - ky) - cell,
                                std::hypot(x - (2 * mx - kx), y - (2 * my - ky)) - cell);
              },
              ink2);
          break;
        default:
          inside(
              [=](float x, float y) {
                const float px = std::fmod((x - x0) / cell * 4, 1.0f) - 0.5f,
                            py = std::fmod((y - y0) / cell * 4, 1.0f) - 0.5f;
                return (std::hypot(px, py) - 0.22f) * cell / 4;
              },
              ink);
      }
    }
  }
}

void paint_underwater(Canvas& canvas, const Mood& mood, Rng& rng) {
  const Rgb shallow = mix(Rgb{0.45f, 0.86f, 0.88f}, mood.sky_low, 0.35f),
            deep = mix(Rgb{0.01f, 0.11f, 0.24f}, mood.near, 0.35f);
  vertical_gradient(canvas, shallow, deep);
  const float source = canvas.aspect() * between(rng, 0.25f, 0.75f);
  const std::uint32_t seed = seed_of(rng);
  for (int y = 0; y < canvas.height(); ++y) {
    const float vy = canvas.view_y(y);
    for (int x = 0; x < canvas.width(); ++x) {
      const float fan = (canvas.view_x(x) - source) / (0.35f + vy);
      const float shaft = smoothstep(0.45f, 0.85f, noise(fan * 6, 0.4f, seed)) +
                          0.5f * smoothstep(0.5f, 0.9f, noise(fan * 17, 1.4f, seed));
      const float fade = std::exp(-2.2f * vy) * std::exp(-fan * fan * 1.2f);
      const float caustic =
          vy < 0.14f ? smoothstep(0.6f, 0.9f, noise(canvas.view_x(x) * 9, vy * 40, seed + 2)) * (1 - vy / 0.14f) : 0;
      canvas.row(y)[x] = canvas.row(y)[x] + mix(mood.light, kWhite, 0.3f) * (shaft * fade * 0.28f + caustic * 0.25f);
    }
  }
  const auto reef = [&](float base, float tall, Rgb color, float zoom) {
    const std::uint32_t ground = seed_of(rng);
    for (int x = 0; x < canvas.width(); ++x) {
      const float top = base - tall * fractal(canvas.view_x(x) * zoom, 1, ground, 5, 0.55f);
      for (int y = std::max(0, static_cast<int>(top * flt(canvas.height()))); y < canvas.height(); ++y) {
        const float coverage = saturate((canvas.view_y(y) - top) * flt(canvas.height()) + 0.5f);
        canvas.row(y)[x] = mix(canvas.row(y)[x], mix(color, deep, saturate((canvas.view_y(y) - top) * 2.5f)), coverage);
      }
    }
  };
  reef(0.98f, 0.42f, mix(deep, shallow, 0.30f), 2.0f);
  for (int school = 0; school < 3; ++school) {
    const float x0 = canvas.aspect() * between(rng, 0.15f, 0.85f), y0 = between(rng, 0.22f, 0.68f),
                way = rng.chance(0.5) ? 1.0f : -1.0f;
    const Rgb scale = mix(rng.chance(0.6) ? mood.accent : mood.accent2, shallow, between(rng, 0.0f, 0.35f));
    const int count = 4 + static_cast<int>(rng.below(7));
    for (int i = 0; i < count; ++i) {
      const float x = x0 + between(rng, -0.18f, 0.18f), y = y0 + between(rng, -0.08f, 0.08f),
                  size = between(rng, 0.020f, 0.042f);
      leaf(canvas, x - way * size * 0.85f, y, way > 0 ? kPi - 0.5f : -0.5f, size * 0.8f, size * 0.5f, scale * 0.8f,
           scale);
      leaf(canvas, x - way * size * 0.85f, y, way > 0 ? kPi + 0.5f : 0.5f, size * 0.8f, size * 0.5f, scale * 0.8f,
           scale);
      fill_ellipse(canvas, x, y, size, size * 0.45f, scale);
      fill_ellipse(canvas, x - way * size * 0.1f, y, size * 0.14f, size * 0.42f, mix(scale, kWhite, 0.75f));
      fill_ellipse(canvas, x + way * size * 0.62f, y - size * 0.08f, size * 0.11f, size * 0.11f, kInk);
    }
  }
  reef(1.04f, 0.30f, mix(deep, mood.accent, 0.22f), 2.7f);
  const Rgb kelp = mix(Rgb{0.05f, 0.26f, 0.22f}, mood.near, 0.3f);
  for (int i = 0; i < 11; ++i) {
    const float x = canvas.aspect() * (i % 2 == 0 ? between(rng, 0.0f, 0.28f) : between(rng, 0.72f, 1.0f));
    const float top = between(rng, 0.35f, 0.8f), bend = between(rng, -0.06f, 0.06f);
    stroke(canvas, x, 1.02f, x + bend, top, bend, 0.008f, kelp);
    for (float y = top; y < 0.96f; y += 0.035f) {
      const float side = static_cast<int>(y * 1000) / 35 % 2 == 0 ? 1.0f : -1.0f;
      const float t = (1.02f - y) / (1.02f - top);
      leaf(canvas, x + bend * t - bend * 4 * t * (1 - t) * 0.2f, y, -kPi / 2 + side * 0.8f, 0.075f, 0.022f, kelp,
           mix(kelp, shallow, 0.3f));
    }
  }
  for (int i = 0; i < 46; ++i) {
    const float x = flt(rng.unit()) * canvas.aspect(), y = flt(rng.unit()), r = between(rng, 0.002f, 0.011f);
    canvas.shape(
        x - r, y - r, x + r, y + r,
        [=](float px, float py) { return std::fabs(std::hypot(px - x, py - y) - r) - 0.0012f; },
        [=](float, float) { return mix(shallow, kWhite, 0.6f); });
  }
}

}  // namespace pixelfleet::engine::synthetic
