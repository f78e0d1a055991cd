// The shapes that scenes are made of: ellipses, bent strokes, leaves.
#pragma once

#include "base/rng.h"
#include "engine/synthetic/canvas.h"

namespace pixelfleet::engine::synthetic {

inline constexpr Rgb kWhite{1, 1, 1};
inline constexpr Rgb kInk{0.11f, 0.09f, 0.13f};

inline float between(Rng& rng, float low, float high) { return low + (high - low) * flt(rng.unit()); }
inline std::uint32_t seed_of(Rng& rng) { return static_cast<std::uint32_t>(rng.next()); }

inline void vertical_gradient(Canvas& canvas, Rgb top, Rgb bottom) {
  for (int y = 0; y < canvas.height(); ++y) {
    const Rgb color = mix(top, bottom, smoothstep(0, 1, canvas.view_y(y)));
    std::fill(canvas.row(y), canvas.row(y) + canvas.width(), color);
  }
}

// Near enough to the distance from an ellipse for edges one pixel wide.
inline float ellipse(float x, float y, float cx, float cy, float rx, float ry) {
  const float dx = (x - cx) / rx, dy = (y - cy) / ry;
  const float k = std::hypot(dx, dy);
  return (k - 1) * std::min(rx, ry);
}

inline void fill_ellipse(Canvas& canvas, float cx, float cy, float rx, float ry, Rgb color) {
  canvas.shape(
      cx - rx, cy - ry, cx + rx, cy + ry, [=](float x, float y) { return ellipse(x, y, cx, cy, rx, ry); },
      [=](float, float) { return color; });
}

// A line of round ends whose middle is bent by `bend` to the side.
inline void stroke(Canvas& canvas, float x0, float y0, float x1, float y1, float bend, float thickness, Rgb color) {
  const float dx = x1 - x0, dy = y1 - y0, length = std::max(1e-5f, std::hypot(dx, dy));
  const float nx = -dy / length, ny = dx / length;
  const float reach = std::fabs(bend) + thickness;
  canvas.shape(
      std::min(x0, x1) - reach, std::min(y0, y1) - reach, std::max(x0, x1) + reach, std::max(y0, y1) + reach,
      [=](float x, float y) {
        const float along = ((x - x0) * dx + (y - y0) * dy) / (length * length);
        const float clamped = saturate(along);
        const float curve = bend * 4 * clamped * (1 - clamped);
        const float px = x0 + dx * clamped + nx * curve, py = y0 + dy * clamped + ny * curve;
        return std::hypot(x - px, y - py) - thickness * 0.5f;
      },
      [=](float, float) { return color; });
}

// A leaf or petal: two arcs that meet in points, with a lighter half and a vein.
inline void leaf(Canvas& canvas, float x0, float y0, float angle, float length, float width, Rgb color, Rgb edge) {
  const float ux = std::cos(angle), uy = std::sin(angle);
  const float reach = length + width;
  canvas.shape(
      x0 - reach, y0 - reach, x0 + reach, y0 + reach,
      [=](float x, float y) {
        const float along = ((x - x0) * ux + (y - y0) * uy) / length;
        const float across = std::fabs((x - x0) * -uy + (y - y0) * ux);
        if (along <= 0 || along >= 1) return std::max(-along, along - 1) * length + across;
        return across - width * std::sin(kPi * std::pow(along, 0.8f)) * 0.5f;
      },
      [=](float x, float y) {
        const float along = ((x - x0) * ux + (y - y0) * uy) / length;
        const float across = ((x - x0) * -uy + (y - y0) * ux) / width;
        const float vein = 1 - smoothstep(0.0f, 0.035f, std::fabs(across));
        const Rgb base = mix(color, edge, saturate(along * 0.85f + across * 0.5f));
        return mix(base, mix(base, kWhite, 0.35f), vein * 0.6f);
      });
}

}  // namespace pixelfleet::engine::synthetic
