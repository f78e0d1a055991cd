// Canvas: a float RGB picture in "view units": y runs from 0 (top) to 1 (bottom), x from 0 to width/height.
//
// Scenes are painted back to front with coverage computed from distances, so edges are smooth at any size without
// supersampling. Values are display-referred (sRGB-like) and may leave [0, 1] until the picture is finished.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pixelfleet::engine::synthetic {

inline constexpr float kPi = 3.14159265f;

inline float flt(int value) { return static_cast<float>(value); }
inline float flt(double value) { return static_cast<float>(value); }

struct Rgb {
  float r = 0, g = 0, b = 0;
  friend Rgb operator+(Rgb a, Rgb b) { return {a.r + b.r, a.g + b.g, a.b + b.b}; }
  friend Rgb operator-(Rgb a, Rgb b) { return {a.r - b.r, a.g - b.g, a.b - b.b}; }
  friend Rgb operator*(Rgb a, float k) { return {a.r * k, a.g * k, a.b * k}; }
};

inline Rgb mix(Rgb a, Rgb b, float t) { return a + (b - a) * t; }
inline float mix(float a, float b, float t) { return a + (b - a) * t; }
inline float saturate(float x) { return std::clamp(x, 0.0f, 1.0f); }
inline float smoothstep(float low, float high, float x) {
  const float t = saturate((x - low) / (high - low));
  return t * t * (3 - 2 * t);
}
inline float luma(Rgb c) { return 0.299f * c.r + 0.587f * c.g + 0.114f * c.b; }

class Canvas {
 public:
  Canvas(int width, int height)
      : width_(width), height_(height), pixels_(static_cast<std::size_t>(width) * static_cast<std::size_t>(height)) {}

  int width() const { return width_; }
  int height() const { return height_; }
  float aspect() const { return flt(width_) / flt(height_); }
  float pixel() const { return 1.0f / flt(height_); }  // one pixel in view units

  Rgb* row(int y) { return pixels_.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width_); }
  const Rgb* row(int y) const {
    return pixels_.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width_);
  }
  float view_x(int x) const { return (flt(x) + 0.5f) * pixel(); }
  float view_y(int y) const { return (flt(y) + 0.5f) * pixel(); }

  // Blends `color(x, y)` over the pixels of a rectangle (view units) where `distance(x, y)` is negative.
  template <class Distance, class Color>
  void shape(float left, float top, float right, float bottom, Distance distance, Color color) {
    const float size = flt(height_);
    const int x0 = std::max(0, static_cast<int>(left * size) - 1);
    const int x1 = std::min(width_ - 1, static_cast<int>(right * size) + 1);
    const int y0 = std::max(0, static_cast<int>(top * size) - 1);
    const int y1 = std::min(height_ - 1, static_cast<int>(bottom * size) + 1);
    for (int y = y0; y <= y1; ++y) {
      Rgb* line = row(y);
      const float vy = view_y(y);
      for (int x = x0; x <= x1; ++x) {
        const float vx = view_x(x);
        const float coverage = saturate(0.5f - distance(vx, vy) * size);
        if (coverage > 0) line[x] = mix(line[x], color(vx, vy), coverage);
      }
    }
  }

  template <class Color>
  void disc(float cx, float cy, float radius, Color color) {
    shape(
        cx - radius, cy - radius, cx + radius, cy + radius,
        [=](float x, float y) { return std::hypot(x - cx, y - cy) - radius; }, color);
  }

  // Adds light that falls off from (cx, cy); `reach` is where it is gone.
  void glow(float cx, float cy, float reach, Rgb light) {
    const float size = flt(height_);
    const int x0 = std::max(0, static_cast<int>((cx - reach) * size));
    const int x1 = std::min(width_ - 1, static_cast<int>((cx + reach) * size));
    const int y0 = std::max(0, static_cast<int>((cy - reach) * size));
    const int y1 = std::min(height_ - 1, static_cast<int>((cy + reach) * size));
    for (int y = y0; y <= y1; ++y) {
      Rgb* line = row(y);
      const float dy = view_y(y) - cy;
      for (int x = x0; x <= x1; ++x) {
        const float dx = view_x(x) - cx;
        const float d2 = (dx * dx + dy * dy) / (reach * reach);
        if (d2 < 1) line[x] = line[x] + light * ((1 - d2) * (1 - d2) * (1 - d2));
      }
    }
  }

 private:
  int width_, height_;
  std::vector<Rgb> pixels_;
};

}  // namespace pixelfleet::engine::synthetic
