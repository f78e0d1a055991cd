#include "engine/synthetic/painting.h"

#include <array>
#include <cmath>

#include "engine/synthetic/mood.h"
#include "engine/synthetic/noise.h"
#include "engine/synthetic/scenes.h"

namespace pixelfleet::engine::synthetic {
namespace {

constexpr int kPreviewSide = 192;
constexpr int kCoarseSide = 12;

std::uint64_t hash(std::string_view text, std::uint64_t state) {
  for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return state;
}

std::uint8_t to_byte(float value) { return static_cast<std::uint8_t>(saturate(value) * 255.0f + 0.5f); }

// Low guidance gives pale, flat pictures, high guidance hard and loud ones; 7 is neutral.
struct Grade {
  float saturation, contrast;
};
Grade grade_of(double cfg_scale) {
  const float t = flt(std::clamp(cfg_scale, 0.0, 30.0));
  if (t < 7) return {mix(0.25f, 1.0f, t / 7), mix(0.72f, 1.0f, t / 7)};
  return {mix(1.0f, 1.75f, (t - 7) / 23), mix(1.0f, 1.40f, (t - 7) / 23)};
}

// Few steps leave noise behind; from about twenty on only a fine grain is left, which also keeps gradients from
// banding.
float leftover_noise(int steps) { return 0.34f * std::exp(-flt(steps) / 3.6f) + 0.012f; }

Rgb grain(int x, int y, std::uint32_t seed) {
  const std::uint32_t bits =
      scramble(static_cast<std::uint32_t>(x) * 0x9E3779B1u ^ scramble(static_cast<std::uint32_t>(y) + seed));
  return {static_cast<float>(bits & 1023) / 1023.0f - 0.5f, static_cast<float>((bits >> 10) & 1023) / 1023.0f - 0.5f,
          static_cast<float>((bits >> 20) & 1023) / 1023.0f - 0.5f};
}

std::vector<std::uint8_t> finish(const Canvas& canvas, const PaintingRequest& request, std::uint32_t noise_seed) {
  const Grade grade = grade_of(request.cfg_scale);
  const float noise = 2 * leftover_noise(request.steps);
  std::vector<std::uint8_t> pixels(std::size_t{3} * static_cast<std::size_t>(canvas.width()) *
                                   static_cast<std::size_t>(canvas.height()));
  std::uint8_t* out = pixels.data();
  for (int y = 0; y < canvas.height(); ++y) {
    const Rgb* line = canvas.row(y);
    const float dy = canvas.view_y(y) - 0.5f;
    for (int x = 0; x < canvas.width(); ++x, out += 3) {
      const float dx = (canvas.view_x(x) / canvas.aspect()) - 0.5f;
      const float vignette = 1 - 0.32f * (dx * dx + dy * dy);
      Rgb color = line[x] * vignette;
      const float grey = luma(color);
      color = Rgb{grey, grey, grey} + (color - Rgb{grey, grey, grey}) * grade.saturation;
      color = (color - Rgb{0.5f, 0.5f, 0.5f}) * grade.contrast + Rgb{0.5f, 0.5f, 0.5f};
      const Rgb speck = grain(x, y, noise_seed);
      out[0] = to_byte(color.r + speck.r * noise);
      out[1] = to_byte(color.g + speck.g * noise);
      out[2] = to_byte(color.b + speck.b * noise);
    }
  }
  return pixels;
}

// 5x7 letters, one byte a row, the lowest five bits from left to right.
struct Glyph {
  char letter;
  std::array<std::uint8_t, 7> rows;
};
constexpr std::array kGlyphs{
    Glyph{'D', {0x1E, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1E}}, Glyph{'E', {0x1F, 0x10, 0x10, 0x1E, 0x10, 0x10, 0x1F}},
    Glyph{'F', {0x1F, 0x10, 0x10, 0x1E, 0x10, 0x10, 0x10}}, Glyph{'I', {0x0E, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0E}},
    Glyph{'L', {0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1F}}, Glyph{'M', {0x11, 0x1B, 0x15, 0x15, 0x11, 0x11, 0x11}},
    Glyph{'O', {0x0E, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0E}}, Glyph{'P', {0x1E, 0x11, 0x11, 0x1E, 0x10, 0x10, 0x10}},
    Glyph{'T', {0x1F, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04}}, Glyph{'X', {0x11, 0x11, 0x0A, 0x04, 0x0A, 0x11, 0x11}},
};

// "PIXELFLEET DEMO" in the lower right corner: light on dark ground, dark on light ground, half transparent.
void mark_as_demo(std::vector<std::uint8_t>& pixels, int width, int height) {
  constexpr std::string_view kText = "PIXELFLEET DEMO";
  const int scale = std::max(1, std::min(width, height) / 512);
  const int margin = 6 * scale;
  const int text_width = static_cast<int>(kText.size()) * 6 * scale;
  int left = width - margin - text_width;
  const int top = height - margin - 7 * scale;
  for (const char letter : kText) {
    for (const Glyph& glyph : kGlyphs) {
      if (glyph.letter != letter) continue;
      for (int row = 0; row < 7 * scale; ++row) {
        for (int column = 0; column < 5 * scale; ++column) {
          const bool ink = (glyph.rows[static_cast<std::size_t>(row / scale)] >> (4 - column / scale) & 1) != 0;
          const int x = left + column, y = top + row;
          if (!ink || x < 0 || y < 0) continue;
          std::uint8_t* at = pixels.data() + 3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                                                  static_cast<std::size_t>(x));
          const int target = at[0] + 2 * at[1] + at[2] > 520 ? 0 : 255;
          for (int c = 0; c < 3; ++c) at[c] = static_cast<std::uint8_t>((at[c] * 3 + target * 2) / 5);
        }
      }
    }
    left += 6 * scale;
  }
}

// Averages boxes of the large picture; every source pixel counts once.
std::vector<Rgb> shrink(const std::vector<std::uint8_t>& rgb, int width, int height, int to_width, int to_height) {
  std::vector<Rgb> small(static_cast<std::size_t>(to_width) * static_cast<std::size_t>(to_height));
  for (int y = 0; y < to_height; ++y) {
    const int y0 = y * height / to_height, y1 = std::max(y0 + 1, (y + 1) * height / to_height);
    for (int x = 0; x < to_width; ++x) {
      const int x0 = x * width / to_width, x1 = std::max(x0 + 1, (x + 1) * width / to_width);
      int r = 0, g = 0, b = 0;
      for (int sy = y0; sy < y1; ++sy) {
        const std::uint8_t* at = rgb.data() + 3 * (static_cast<std::size_t>(sy) * static_cast<std::size_t>(width) +
                                                   static_cast<std::size_t>(x0));
        for (int sx = x0; sx < x1; ++sx, at += 3) {
          r += at[0];
          g += at[1];
          b += at[2];
        }
      }
      const float share = 1.0f / (255.0f * flt((y1 - y0) * (x1 - x0)));
      small[static_cast<std::size_t>(y * to_width + x)] = Rgb{flt(r), flt(g), flt(b)} * share;
    }
  }
  return small;
}

}  // namespace

Painting::Painting(const Scene& scene, const PaintingRequest& request) : steps_(request.steps) {
  std::uint64_t state = hash(scene.name, 0xCBF29CE484222325u);
  state = hash(request.prompt, state);
  state = hash(request.negative_prompt, state ^ 0x5bd1e995u);
  Rng rng(state ^ (static_cast<std::uint64_t>(request.seed) * 0x9E3779B97F4A7C15u));
  noise_seed_ = static_cast<std::uint32_t>(rng.next());

  const Mood mood = mood_of(request.prompt, request.negative_prompt, rng);
  Canvas canvas(request.width, request.height);
  scene.paint(canvas, mood, rng);
  pixels_ = finish(canvas, request, noise_seed_);
  mark_as_demo(pixels_, request.width, request.height);

  const int longest = std::max(request.width, request.height);
  const int divisor = std::max(1, (longest + kPreviewSide - 1) / kPreviewSide);
  small_.width = std::max(1, request.width / divisor);
  small_.height = std::max(1, request.height / divisor);
  for (const Rgb& color : shrink(pixels_, request.width, request.height, small_.width, small_.height)) {
    for (const float channel : {color.r, color.g, color.b}) small_.rgb.push_back(to_byte(channel));
  }
  coarse_ = shrink(small_.rgb, small_.width, small_.height, std::min(kCoarseSide, small_.width),
                   std::min(kCoarseSide, small_.height));
}

Preview Painting::preview(int step) const {
  const float t = saturate(flt(step) / flt(std::max(1, steps_)));
  const float noise = std::pow(1 - t, 0.8f);        // share of pure noise
  const float detail = smoothstep(0.15f, 0.9f, t);  // masses first, detail later
  const int coarse_width = std::min(kCoarseSide, small_.width), coarse_height = std::min(kCoarseSide, small_.height);
  Preview preview{small_.width, small_.height, std::vector<std::uint8_t>(small_.rgb.size())};
  for (int y = 0; y < small_.height; ++y) {
    for (int x = 0; x < small_.width; ++x) {
      const std::size_t at =
          3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(small_.width) + static_cast<std::size_t>(x));
      const float gx = std::max(0.0f, (flt(x) + 0.5f) * flt(coarse_width) / flt(small_.width) - 0.5f);
      const float gy = std::max(0.0f, (flt(y) + 0.5f) * flt(coarse_height) / flt(small_.height) - 0.5f);
      const int ix = std::min(static_cast<int>(gx), coarse_width - 1),
                iy = std::min(static_cast<int>(gy), coarse_height - 1);
      const int jx = std::min(ix + 1, coarse_width - 1), jy = std::min(iy + 1, coarse_height - 1);
      const auto masses = [&](int mx, int my) { return coarse_[static_cast<std::size_t>(my * coarse_width + mx)]; };
      const Rgb blurred = mix(mix(masses(ix, iy), masses(jx, iy), gx - flt(ix)),
                              mix(masses(ix, jy), masses(jx, jy), gx - flt(ix)), gy - flt(iy));
      const Rgb sharp = Rgb{flt(small_.rgb[at]), flt(small_.rgb[at + 1]), flt(small_.rgb[at + 2])} * (1 / 255.0f);
      // Two scales of noise, as a decoded latent has.
      const Rgb speck = grain(x, y, noise_seed_) + grain(x / 4, y / 4, noise_seed_ + 1) * 0.9f;
      const Rgb color = mix(mix(blurred, sharp, detail), Rgb{0.5f, 0.48f, 0.5f} + speck * 0.9f, noise);
      preview.rgb[at] = to_byte(color.r);
      preview.rgb[at + 1] = to_byte(color.g);
      preview.rgb[at + 2] = to_byte(color.b);
    }
  }
  return preview;
}

const Scene& scene_named(std::string_view name) {
  for (const Scene& scene : kScenes) {
    if (name == scene.name || name.ends_with(scene.name)) return scene;
  }
  return kScenes[hash(name, 0xCBF29CE484222325u) % kScenes.size()];
}

}  // namespace pixelfleet::engine::synthetic
