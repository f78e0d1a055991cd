// Portraits: a stylised person, or an animal where the prompt is about one, before a disc of colour.
#include <array>

#include "engine/synthetic/noise.h"
#include "engine/synthetic/scenes.h"
#include "engine/synthetic/shapes.h"

namespace pixelfleet::engine::synthetic {
namespace {

struct Face {
  float cx, cy, s;  // centre of the head, and what one "head unit" is in view units
  Rgb skin, shade, hair, hair_light, cloth, cloth_dark;
};

void backdrop(Canvas& canvas, const Mood& mood, Rng& rng, float cx, float cy) {
  vertical_gradient(canvas, mix(mood.paper, mood.sky_low, 0.35f), mix(mood.paper, mood.sky_top, 0.35f));
  const Rgb disc = mix(mood.accent2, mood.sky_low, 0.30f);
  const float radius = between(rng, 0.32f, 0.40f);
  canvas.glow(cx, cy, radius * 1.8f, mood.light * 0.10f);
  const float lift = between(rng, -0.06f, 0.02f);
  canvas.disc(cx, cy + lift, radius, [=](float x, float y) {
    return mix(disc, mix(disc, mood.accent, 0.45f), saturate((y - cy + (x - cx) * 0.4f) / radius * 0.5f + 0.5f));
  });
  // Twigs or rays around the disc.
  if (rng.chance(0.6)) {
    const int count = 9 + static_cast<int>(rng.below(8));
    const Rgb green = mix(mood.near, mood.far, 0.35f);
    for (int i = 0; i < count; ++i) {
      const float side = i % 2 == 0 ? -1.0f : 1.0f;
      const float x = cx + side * between(rng, 0.28f, 0.48f), y = between(rng, 0.45f, 1.0f);
      leaf(canvas, x, y, -kPi / 2 + side * between(rng, 0.1f, 0.9f), between(rng, 0.14f, 0.30f),
           between(rng, 0.04f, 0.09f), mix(green, mood.accent, between(rng, 0, 0.35f)), mix(green, mood.sky_low, 0.4f));
    }
  } else {
    const float ring = radius + 0.035f;
    canvas.shape(
        cx - 1, cy - 1, cx + 1, cy + 1,
        [=](float x, float y) { return std::fabs(std::hypot(x - cx, y - cy - lift) - ring) - 0.004f; },
        [=](float, float) { return mood.light; });
  }
}

void eye(Canvas& canvas, const Face& f, float side, Rgb iris, float gaze) {
  const float x = f.cx + side * 0.200f * f.s, y = f.cy + 0.035f * f.s, w = 0.105f * f.s, h = 0.052f * f.s;
  const auto almond = [=](float px, float py) {
    const float across = (px - x) / w;
    if (std::fabs(across) >= 1) return std::fabs(px - x) - w + 0.01f;
    const float open = (1 - across * across);
    return std::max(y - h * open - py, py - y - h * 0.72f * open);
  };
  const float ix = x + gaze * 0.022f * f.s, iy = y - 0.006f * f.s, ir = 0.046f * f.s;
  canvas.shape(x - w, y - h, x + w, y + h, almond, [=](float px, float py) {
    const float d = std::hypot(px - ix, py - iy);
    const Rgb white = mix(Rgb{0.97f, 0.95f, 0.93f}, f.shade, 0.35f * saturate((y - py) / h + 0.3f));
    Rgb color =
        mix(mix(iris * 0.75f, iris * 1.35f, saturate((py - iy) / ir + 0.5f)), white, smoothstep(ir * 0.92f, ir, d));
    color = mix(color, kInk, 1 - smoothstep(ir * 0.42f, ir * 0.5f, d));
    const float spark = std::hypot(px - ix - ir * 0.32f, py - iy + ir * 0.35f);
    return mix(color, kWhite, 1 - smoothstep(ir * 0.16f, ir * 0.26f, spark));
  });
  stroke(canvas, x - w * 1.02f, y + 0.004f * f.s, x + w * 1.02f, y - 0.004f * f.s, -h * 1.0f, 0.020f * f.s, kInk);
  stroke(canvas, x - w * 0.9f, y - h * 0.55f, x + w * 0.9f, y - h * 0.55f, -h * 1.15f, 0.007f * f.s,
         mix(f.shade, kInk, 0.25f));
  stroke(canvas, x - side * w * 0.9f, y - 0.100f * f.s, x + side * w * 1.15f, y - 0.105f * f.s, -side * 0.030f * f.s,
         0.024f * f.s, mix(f.hair, kInk, 0.35f));
}

void features(Canvas& canvas, const Mood& mood, const Face& f, Rng& rng) {
  constexpr std::array<Rgb, 5> kIris{Rgb{0.30f, 0.48f, 0.36f}, Rgb{0.25f, 0.42f, 0.62f}, Rgb{0.42f, 0.27f, 0.15f},
                                     Rgb{0.45f, 0.40f, 0.25f}, Rgb{0.30f, 0.22f, 0.18f}};
  const Rgb iris = kIris[rng.below(kIris.size())];
  const float gaze = between(rng, -1, 1);
  const Rgb blush = mix(f.skin, mood.accent, 0.35f);
  for (const float side : {-1.0f, 1.0f}) {
    canvas.glow(f.cx + side * 0.24f * f.s, f.cy + 0.20f * f.s, 0.16f * f.s, (blush - f.skin) * 0.5f);
    eye(canvas, f, side, iris, gaze);
  }
  // Nose: the shaded side of its ridge, nostrils, a touch of light.
  stroke(canvas, f.cx + 0.030f * f.s, f.cy - 0.03f * f.s, f.cx + 0.050f * f.s, f.cy + 0.20f * f.s, -0.012f * f.s,
         0.022f * f.s, mix(f.skin, f.shade, 0.55f));
  stroke(canvas, f.cx - 0.045f * f.s, f.cy + 0.232f * f.s, f.cx + 0.055f * f.s, f.cy + 0.232f * f.s, 0.016f * f.s,
         0.014f * f.s, mix(f.shade, kInk, 0.15f));
  canvas.glow(f.cx - 0.005f * f.s, f.cy + 0.185f * f.s, 0.035f * f.s, kWhite * 0.14f);
  // Mouth.
  const float my = f.cy + 0.345f * f.s, mw = between(rng, 0.095f, 0.125f) * f.s,
              smile = between(rng, 0.004f, 0.026f) * f.s;
  const Rgb lip = mix(mix(f.skin, Rgb{0.72f, 0.25f, 0.28f}, 0.62f), mood.accent, 0.18f);
  stroke(canvas, f.cx - mw * 0.80f, my + 0.016f * f.s, f.cx + mw * 0.80f, my + 0.016f * f.s, smile + 0.012f * f.s,
         0.040f * f.s, mix(lip, kWhite, 0.12f));
  stroke(canvas, f.cx - mw * 0.85f, my - 0.010f * f.s, f.cx + mw * 0.85f, my - 0.010f * f.s, smile * 0.4f, 0.030f * f.s,
         lip);
  stroke(canvas, f.cx - mw, my, f.cx + mw, my, smile, 0.010f * f.s, mix(lip, kInk, 0.55f));
}

float head_shape(const Face& f, float x, float y) {
  const float down = (y - f.cy) / (0.60f * f.s);
  const float narrow = 1 + 0.26f * std::max(0.0f, down) * std::max(0.0f, down) * 1.2f;
  return ellipse(f.cx + (x - f.cx) * narrow, y, f.cx, f.cy, 0.43f * f.s, 0.58f * f.s);
}

// A strand pattern for hair: bands of light that follow the skull.
Rgb hair_color(const Face& f, float x, float y, std::uint32_t seed) {
  const float angle = std::atan2(y - f.cy, x - f.cx), away = std::hypot(x - f.cx, y - f.cy) / f.s;
  const float strand = noise(angle * 16, away * 2.0f, seed);
  const float shine = std::exp(-36 * (away - 0.50f) * (away - 0.50f)) * smoothstep(0.25f, -0.85f, std::sin(angle));
  return mix(f.hair, f.hair_light, saturate(strand * 0.45f + shine * 0.55f));
}

void paint_cat_like(Canvas& canvas, const Mood& mood, Rng& rng, float cx, float cy, float s) {
  const float ear_spread = between(rng, 0.34f, 0.50f), muzzle = between(rng, 0.50f, 0.70f);
  const Rgb fur = mood.accent, pale = mix(Rgb{0.98f, 0.95f, 0.90f}, fur, 0.08f), dark = mix(fur, kInk, 0.72f);
  // Chest.
  canvas.shape(
      cx - s, cy, cx + s, 1, [=](float x, float y) { return ellipse(x, y, cx, cy + 1.35f * s, 0.62f * s, 1.0f * s); },
      [=](float x, float y) {
        const float bib = ellipse(x, y, cx, cy + 1.05f * s, 0.27f * s, 0.70f * s);
        return mix(pale, mix(fur, dark, saturate(std::fabs(x - cx) / s * 0.6f)), smoothstep(-0.01f, 0.05f, bib));
      });
  for (const float side : {-1.0f, 1.0f}) {
    const float tilt = -kPi / 2 + side * ear_spread, ex = cx + side * 0.27f * s, ey = cy - 0.16f * s;
    leaf(canvas, ex, ey, tilt, 0.62f * s, 0.44f * s, dark, fur);
    leaf(canvas, ex + side * 0.01f * s, ey - 0.02f * s, tilt, 0.46f * s, 0.24f * s, mix(pale, mood.accent2, 0.25f),
         pale);
  }
  // Head: wide at the cheeks, pointed at the nose.
  const auto head = [=](float x, float y) {
    const float down = (y - cy) / (0.52f * s);
    const float cheek = std::fabs(x - cx) * (1 + muzzle * std::max(0.0f, down));
    return ellipse(cx + cheek, y, cx, cy, 0.50f * s, 0.52f * s);
  };
  canvas.shape(cx - 0.6f * s, cy - 0.6f * s, cx + 0.6f * s, cy + 0.6f * s, head, [=](float x, float y) {
    const float across = std::fabs(x - cx) / s, down = (y - cy) / s;
    const float mask = down - 0.02f - 0.9f * std::fabs(across - 0.17f);
    Rgb color = mix(fur, mix(fur, kWhite, 0.18f), saturate(0.5f - down));
    color = mix(color, mix(fur, dark, 0.35f), saturate((x - cx) / s * 0.9f));
    return mix(color, pale, smoothstep(-0.02f, 0.03f, mask));
  });
  const Rgb iris = mix(mood.accent2, Rgb{0.85f, 0.70f, 0.25f}, 0.5f);
  for (const float side : {-1.0f, 1.0f}) {
    const float x = cx + side * 0.19f * s, y = cy + 0.02f * s;
    leaf(canvas, x - 0.10f * s, y + side * 0.03f * s, -side * 0.30f, 0.20f * s, 0.13f * s, iris, iris);
    fill_ellipse(canvas, x, y, 0.030f * s, 0.048f * s, kInk);
    fill_ellipse(canvas, x + 0.012f * s, y - 0.018f * s, 0.012f * s, 0.012f * s, kWhite);
  }
  fill_ellipse(canvas, cx, cy + 0.36f * s, 0.062f * s, 0.042f * s, kInk);
  fill_ellipse(canvas, cx - 0.015f * s, cy + 0.347f * s, 0.018f * s, 0.010f * s, mix(kInk, kWhite, 0.5f));
  for (const float side : {-1.0f, 1.0f}) {
    stroke(canvas, cx, cy + 0.40f * s, cx + side * 0.09f * s, cy + 0.44f * s, side * 0.015f * s, 0.010f * s, kInk);
    for (int i = 0; i < 3; ++i) {
      stroke(canvas, cx + side * 0.10f * s, cy + (0.34f + 0.03f * flt(i)) * s, cx + side * 0.46f * s,
             cy + (0.27f + 0.09f * flt(i)) * s, side * 0.02f * s, 0.005f * s, mix(pale, kInk, 0.25f));
    }
  }
}

void paint_person(Canvas& canvas, const Mood& mood, Rng& rng, float cx, float cy, float s) {
  constexpr std::array<Rgb, 6> kSkin{Rgb{0.96f, 0.80f, 0.69f}, Rgb{0.91f, 0.70f, 0.56f}, Rgb{0.80f, 0.58f, 0.43f},
                                     Rgb{0.64f, 0.43f, 0.30f}, Rgb{0.47f, 0.30f, 0.21f}, Rgb{0.99f, 0.85f, 0.76f}};
  constexpr std::array<Rgb, 7> kHair{Rgb{0.10f, 0.08f, 0.09f}, Rgb{0.22f, 0.13f, 0.09f}, Rgb{0.40f, 0.23f, 0.12f},
                                     Rgb{0.72f, 0.50f, 0.25f}, Rgb{0.62f, 0.22f, 0.10f}, Rgb{0.55f, 0.53f, 0.53f},
                                     Rgb{0.16f, 0.15f, 0.25f}};
  Face f{cx, cy, s, kSkin[rng.below(kSkin.size())], {}, kHair[rng.below(kHair.size())], {}, mood.accent, {}};
  f.skin = mix(f.skin, mood.light, 0.10f) * mix(1.0f, 0.88f, mood.night);
  f.shade = mix(f.skin, mix(mood.sky_top, kInk, 0.35f), 0.36f);
  f.hair_light = mix(f.hair, mix(mood.light, f.skin, 0.4f), 0.42f);
  f.cloth_dark = mix(f.cloth, kInk, 0.45f);
  const std::uint32_t seed = seed_of(rng);
  const int style = static_cast<int>(rng.below(4));  // 0 short, 1 bob, 2 long, 3 bun
  const bool shirt_collar = rng.chance(0.5);

  if (style == 3) fill_ellipse(canvas, cx, cy - 0.66f * s, 0.22f * s, 0.20f * s, f.hair);
  if (style == 1 || style == 2) {
    const float reach = style == 1 ? 0.55f : 1.25f;
    canvas.shape(
        cx - s, cy - s, cx + s, cy + 1.6f * s,
        [=](float x, float y) {
          const float cap = ellipse(x, y, cx, cy - 0.05f * s, 0.55f * s, 0.66f * s);
          const float wave = 0.03f * s * std::sin(y / s * 9);
          const float fall = std::max(
              {cy - 0.05f * s - y, y - cy - reach * s, std::fabs(x - cx + wave) - (0.55f + 0.06f * (y - cy) / s) * s});
          return std::min(cap, fall);
        },
        [=](float x, float y) { return hair_color(f, x, y, seed) * 0.72f; });
  }
  // Shoulders and clothes.
  const float broad = between(rng, 0.92f, 1.12f) * s;
  canvas.shape(
      cx - 1.3f * s, cy + 0.5f * s, cx + 1.3f * s, 1,
      [=](float x, float y) {
        const float across = std::fabs(x - cx) / broad;
        const float top =
            cy +
            (0.78f + 0.16f * std::pow(across, 1.6f) + 0.9f * std::pow(std::max(0.0f, across - 0.78f), 1.5f) * 6) * s;
        return std::max(top - y, std::fabs(x - cx) - broad * 1.12f);
      },
      [=](float x, float y) {
        const float fold = noise((x - cx) / s * 5, (y - cy) / s * 1.6f, seed + 4);
        return mix(mix(f.cloth, f.cloth_dark, saturate((x - cx) / s * 0.6f + 0.25f)), mood.light, 0.10f * fold);
      });
  // Neck with the shadow of the chin.
  canvas.shape(
      cx - 0.3f * s, cy + 0.3f * s, cx + 0.3f * s, cy + 1.0f * s,
      [=](float x, float y) {
        const float spread = 0.175f + 0.12f * std::pow(saturate((y - cy - 0.55f * s) / (0.4f * s)), 2.0f);
        const float neckline = cy + (0.98f - 1.1f * std::fabs(x - cx) / s) * s;
        return std::max(std::fabs(x - cx) - spread * s, y - neckline);
      },
      [=](float x, float y) {
        const float under_chin = 1 - smoothstep(0.56f, 0.76f, (y - cy) / s + (cx - x) / s * 0.3f);
        return mix(f.skin, f.shade, saturate(under_chin + 0.35f * smoothstep(-0.05f, 0.15f, (x - cx) / s)));
      });
  if (shirt_collar) {
    for (const float side : {-1.0f, 1.0f}) {
      leaf(canvas, cx + side * 0.30f * s, cy + 0.66f * s, kPi / 2 + side * 0.62f, 0.44f * s, 0.22f * s,
           mix(f.cloth, kWhite, 0.55f), mix(f.cloth, kWhite, 0.25f));
    }
  }
  for (const float side : {-1.0f, 1.0f}) {
    fill_ellipse(canvas, cx + side * 0.425f * s, cy + 0.08f * s, 0.055f * s, 0.105f * s, side > 0 ? f.shade : f.skin);
    if (style == 3 || rng.chance(0.3))
      fill_ellipse(canvas, cx + side * 0.435f * s, cy + 0.21f * s, 0.022f * s, 0.030f * s, mood.accent2);
  }
  canvas.shape(
      cx - 0.5f * s, cy - 0.7f * s, cx + 0.5f * s, cy + 0.7f * s, [=](float x, float y) { return head_shape(f, x, y); },
      [=](float x, float y) {
        const float turn = (x - cx) / s + 0.10f * std::sin((y - cy) / s * 5);
        return mix(f.skin, f.shade,
                   0.75f * smoothstep(0.06f, 0.34f, turn) + 0.2f * smoothstep(0.35f, 0.6f, (y - cy) / s));
      });
  features(canvas, mood, f, rng);
  // The front of the hair: a cap above a parting.
  const float part = between(rng, -0.16f, 0.16f), fringe = between(rng, 0.16f, 0.30f);
  const float side_down = style == 0 ? 0.02f : 0.30f;
  canvas.shape(
      cx - 0.7f * s, cy - 0.9f * s, cx + 0.7f * s, cy + 0.5f * s,
      [=](float x, float y) {
        const float across = (x - cx) / s, down = (y - cy) / s;
        const float cap = ellipse(x, y, cx, cy - 0.06f * s, 0.50f * s, 0.60f * s);
        const float away = across - part;
        const float edge = -0.36f + fringe * std::pow(std::fabs(away) * 2.1f, 1.7f) +
                           side_down * smoothstep(0.30f, 0.46f, std::fabs(across)) * 1.4f;
        return std::max(cap, (down - edge) * s);
      },
      [=](float x, float y) { return hair_color(f, x, y, seed + 2); });
  if (mood.night < 0.8f) canvas.glow(cx - 0.30f * s, cy - 0.42f * s, 0.35f * s, mood.light * 0.10f);
}

}  // namespace

void paint_portrait(Canvas& canvas, const Mood& mood, Rng& rng) {
  const float cx = canvas.aspect() * 0.5f + between(rng, -0.02f, 0.02f);
  const float s = std::min(0.40f, canvas.aspect() * 0.46f);
  const float cy = 0.43f + between(rng, -0.02f, 0.03f);
  backdrop(canvas, mood, rng, cx, cy);
  if (mood.animal) {
    paint_cat_like(canvas, mood, rng, cx, cy, s * 1.05f);
  } else {
    paint_person(canvas, mood, rng, cx, cy, s);
  }
  if (mood.snowfall) {
    for (int flake = 0; flake < 120; ++flake) {
      canvas.glow(flt(rng.unit()) * canvas.aspect(), flt(rng.unit()), between(rng, 0.003f, 0.010f), kWhite * 0.8f);
    }
  }
}

}  // namespace pixelfleet::engine::synthetic
