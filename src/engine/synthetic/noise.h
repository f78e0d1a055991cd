// Smooth seeded noise in one and two dimensions, and a coarse field of it that is cheap to read at every pixel.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/synthetic/canvas.h"

namespace pixelfleet::engine::synthetic {

inline std::uint32_t scramble(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x7FEB352Du;
  x ^= x >> 15;
  x *= 0x846CA68Bu;
  return x ^ (x >> 16);
}

// Uniform in [0, 1) for a lattice point.
inline float lattice(int x, int y, std::uint32_t seed) {
  const std::uint32_t mixed =
      scramble(static_cast<std::uint32_t>(x) * 0x9E3779B1u ^ scramble(static_cast<std::uint32_t>(y) ^ seed));
  return static_cast<float>(mixed >> 8) * 0x1.0p-24f;
}

// About uniform in [0, 1], continuous with its first derivative.
inline float noise(float x, float y, std::uint32_t seed) {
  const float fx = std::floor(x), fy = std::floor(y);
  const int ix = static_cast<int>(fx), iy = static_cast<int>(fy);
  float tx = x - fx, ty = y - fy;
  tx = tx * tx * (3 - 2 * tx);
  ty = ty * ty * (3 - 2 * ty);
  const float top = mix(lattice(ix, iy, seed), lattice(ix + 1, iy, seed), tx);
  const float bottom = mix(lattice(ix, iy + 1, seed), lattice(ix + 1, iy + 1, seed), tx);
  return mix(top, bottom, ty);
}

// Octaves of noise, normalised to [0, 1]; `gain` is the share of each finer octave.
inline float fractal(float x, float y, std::uint32_t seed, int octaves, float gain = 0.5f) {
  float sum = 0, weight = 1, total = 0;
  for (int i = 0; i < octaves; ++i) {
    sum += weight * noise(x, y, seed + static_cast<std::uint32_t>(i) * 101u);
    total += weight;
    weight *= gain;
    x = x * 2.03f + 17.1f;
    y = y * 2.03f + 9.7f;
  }
  return sum / total;
}

// Sharp crests: folded noise in octaves.
inline float ridged(float x, std::uint32_t seed, int octaves) {
  float sum = 0, weight = 0.5f;
  for (int i = 0; i < octaves; ++i) {
    const float n = noise(x, 0.5f, seed + static_cast<std::uint32_t>(i));
    sum += weight * (1 - std::fabs(2 * n - 1));
    x = x * 2.1f + 3.7f;
    weight *= 0.5f;
  }
  return sum;
}

// A function of view units, sampled on a grid `cell` pixels wide and read with linear interpolation.
class Field {
 public:
  template <class Function>
  Field(const Canvas& canvas, int cell, Function function)
      : scale_(flt(canvas.height()) / flt(cell)),
        columns_(canvas.width() / cell + 3),
        rows_(canvas.height() / cell + 3),
        values_(static_cast<std::size_t>(columns_) * static_cast<std::size_t>(rows_)) {
    for (int y = 0; y < rows_; ++y) {
      for (int x = 0; x < columns_; ++x) values_[index(x, y)] = function(flt(x) / scale_, flt(y) / scale_);
    }
  }

  float at(float x, float y) const {
    const float gx = std::max(0.0f, x * scale_), gy = std::max(0.0f, y * scale_);
    const int ix = std::min(static_cast<int>(gx), columns_ - 2), iy = std::min(static_cast<int>(gy), rows_ - 2);
    const float tx = std::min(1.0f, gx - flt(ix)), ty = std::min(1.0f, gy - flt(iy));
    return mix(mix(values_[index(ix, iy)], values_[index(ix + 1, iy)], tx),
               mix(values_[index(ix, iy + 1)], values_[index(ix + 1, iy + 1)], tx), ty);
  }

 private:
  std::size_t index(int x, int y) const {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(columns_) + static_cast<std::size_t>(x);
  }

  float scale_;
  int columns_, rows_;
  std::vector<float> values_;
};

}  // namespace pixelfleet::engine::synthetic
