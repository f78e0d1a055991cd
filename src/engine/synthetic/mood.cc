#include "engine/synthetic/mood.h"

#include <array>
#include <cctype>
#include <optional>
#include <set>
#include <string>

namespace pixelfleet::engine::synthetic {
namespace {

constexpr Rgb hex(unsigned value) {
  return {static_cast<float>((value >> 16) & 255) / 255.0f, static_cast<float>((value >> 8) & 255) / 255.0f,
          static_cast<float>(value & 255) / 255.0f};
}

struct Palette {
  std::string_view name;
  Mood mood;
};

// One line each: sky top, sky at the horizon, light, far, near, accent, second accent, paper, night, cloud, height.
const std::array kPalettes{
    Palette{"day",
            {hex(0x3f86c9), hex(0xd7ebf2), hex(0xfff6d8), hex(0x9fbccb), hex(0x2f5d3a), hex(0xe4572e), hex(0xf3a712),
             hex(0xe9e4d4), 0.0f, 0.45f, 0.35f}},
    Palette{"sunset",
            {hex(0x3b2f63), hex(0xffa869), hex(0xffe0a3), hex(0xa0597a), hex(0x1f1633), hex(0xf25f5c), hex(0xffc857),
             hex(0xf6d2b0), 0.15f, 0.55f, 0.80f}},
    Palette{"dawn",
            {hex(0x6d8bc4), hex(0xffd9c9), hex(0xfff1d6), hex(0xb7a8c9), hex(0x35415e), hex(0xe07a8b), hex(0xf2c57c),
             hex(0xf4e3dc), 0.05f, 0.40f, 0.72f}},
    Palette{"night",
            {hex(0x070b1f), hex(0x27406f), hex(0xf3f1dc), hex(0x22345c), hex(0x05070f), hex(0xf9c74f), hex(0x4cc9f0),
             hex(0x141b33), 1.0f, 0.25f, 0.28f}},
    Palette{"dusk",
            {hex(0x1d2350), hex(0xd78ba8), hex(0xffe7cf), hex(0x6c5b8f), hex(0x141127), hex(0xef798a), hex(0xf7c59f),
             hex(0xcdb4c8), 0.55f, 0.45f, 0.78f}},
    Palette{"winter",
            {hex(0x7fa6c4), hex(0xf0f5f7), hex(0xfffaf0), hex(0xbfd2de), hex(0x4d6675), hex(0xc8553d), hex(0x588b8b),
             hex(0xe6edf0), 0.0f, 0.55f, 0.55f}},
    Palette{"forest",
            {hex(0x87a98f), hex(0xeef2d8), hex(0xfff7cf), hex(0xa9c2a4), hex(0x16301f), hex(0xd9a441), hex(0xbc4b51),
             hex(0xdfe5cf), 0.0f, 0.35f, 0.42f}},
    Palette{"fire",
            {hex(0x240a12), hex(0xff7b29), hex(0xffe28a), hex(0x8c2f24), hex(0x140508), hex(0xff4d1c), hex(0xffb627),
             hex(0x3a1013), 0.5f, 0.60f, 0.84f}},
    Palette{"desert",
            {hex(0x4f8fb8), hex(0xf7dfb4), hex(0xfff0c2), hex(0xd9a679), hex(0x9c4f2c), hex(0x1f7a8c), hex(0xbf4342),
             hex(0xf0dcc0), 0.0f, 0.15f, 0.40f}},
    Palette{"ocean",
            {hex(0x2a6f97), hex(0xcdeff0), hex(0xfff4d6), hex(0x89c2d9), hex(0x013a63), hex(0xff6b6b), hex(0xffd166),
             hex(0xd9eef0), 0.0f, 0.45f, 0.50f}},
};

struct Word {
  std::string_view text, palette;
};
constexpr std::array kPaletteWords{
    Word{"day", "day"},       Word{"sunny", "day"},        Word{"summer", "day"},      Word{"meadow", "day"},
    Word{"spring", "dawn"},   Word{"dawn", "dawn"},        Word{"morning", "dawn"},    Word{"sunrise", "dawn"},
    Word{"pastel", "dawn"},   Word{"sunset", "sunset"},    Word{"evening", "sunset"},  Word{"golden", "sunset"},
    Word{"autumn", "sunset"}, Word{"cinematic", "dusk"},   Word{"dusk", "dusk"},       Word{"twilight", "dusk"},
    Word{"night", "night"},   Word{"midnight", "night"},   Word{"moon", "night"},      Word{"stars", "night"},
    Word{"dark", "night"},    Word{"neon", "night"},       Word{"cyberpunk", "night"}, Word{"snow", "winter"},
    Word{"snowy", "winter"},  Word{"winter", "winter"},    Word{"ice", "winter"},      Word{"frozen", "winter"},
    Word{"forest", "forest"}, Word{"jungle", "forest"},    Word{"woods", "forest"},    Word{"garden", "forest"},
    Word{"fire", "fire"},     Word{"lava", "fire"},        Word{"volcano", "fire"},    Word{"dragon", "fire"},
    Word{"flames", "fire"},   Word{"desert", "desert"},    Word{"sand", "desert"},     Word{"dunes", "desert"},
    Word{"canyon", "desert"}, Word{"ocean", "ocean"},      Word{"sea", "ocean"},       Word{"beach", "ocean"},
    Word{"lake", "ocean"},    Word{"underwater", "ocean"},
};

struct Colour {
  std::string_view text;
  unsigned value;
};
constexpr std::array kColourWords{
    Colour{"red", 0xd62839},     Colour{"crimson", 0xb3122a}, Colour{"orange", 0xf77f00},
    Colour{"yellow", 0xfcca46},  Colour{"gold", 0xd4a017},    Colour{"green", 0x3a8f4d},
    Colour{"emerald", 0x0f9d74}, Colour{"teal", 0x1b9aaa},    Colour{"turquoise", 0x2ec4b6},
    Colour{"cyan", 0x22b8cf},    Colour{"blue", 0x2667c9},    Colour{"azure", 0x3a86ff},
    Colour{"indigo", 0x3f37c9},  Colour{"purple", 0x7b2cbf},  Colour{"violet", 0x8e5bd0},
    Colour{"magenta", 0xc9249c}, Colour{"pink", 0xf27ba5},    Colour{"brown", 0x7f5539},
    Colour{"white", 0xf4f1ea},   Colour{"silver", 0xb8bec7},  Colour{"grey", 0x8d99a6},
    Colour{"gray", 0x8d99a6},    Colour{"black", 0x1b1b22},
};

std::set<std::string, std::less<>> words_of(std::string_view text) {
  std::set<std::string, std::less<>> words;
  std::string word;
  for (const char c : text) {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      words.insert(std::move(word));
      word.clear();
    }
  }
  if (!word.empty()) words.insert(std::move(word));
  return words;
}

const Mood& palette(std::string_view name) {
  for (const Palette& candidate : kPalettes) {
    if (candidate.name == name) return candidate.mood;
  }
  return kPalettes[0].mood;
}

// Moves `color` toward the hue of `tint` and keeps its brightness, so that light stays light.
Rgb tinted(Rgb color, Rgb tint, float amount) {
  const float scale = luma(color) / std::max(0.08f, luma(tint));
  const Rgb same_light = tint * std::min(scale, 1.6f);
  return mix(color, same_light, amount);
}

}  // namespace

Mood mood_of(std::string_view prompt, std::string_view negative_prompt, Rng& rng) {
  std::set<std::string, std::less<>> words = words_of(prompt);
  for (const std::string& unwanted : words_of(negative_prompt)) words.erase(unwanted);
  const auto has = [&](std::string_view word) { return words.contains(word); };

  std::optional<std::string_view> chosen;
  for (const Word& word : kPaletteWords) {
    if (has(word.text) && (!chosen || word.palette == "night")) chosen = word.palette;
  }
  constexpr std::array<std::string_view, 6> kWhenSilent{"day", "sunset", "dawn", "dusk", "night", "sunset"};
  const std::string_view silent = kWhenSilent[rng.below(kWhenSilent.size())];
  Mood mood = palette(chosen.value_or(silent));

  mood.snow = has("snow") || has("snowy") || has("winter") || has("frozen") || has("ice");
  mood.snowfall = has("snow") || has("snowy") || has("blizzard");
  mood.rain = has("rain") || has("rainy") || has("storm");
  mood.mist = has("fog") || has("foggy") || has("mist") || has("misty") || has("haze") || rng.chance(0.25);
  for (const std::string_view animal : {"fox", "cat", "kitten", "wolf", "dog", "tiger", "lynx", "bear"}) {
    mood.animal = mood.animal || has(animal);
  }
  if (mood.rain || has("cloudy") || has("clouds")) mood.cloud = 0.75f;

  if (mood.animal) mood.accent = has("fox") || has("tiger") ? hex(0xd9651e) : hex(0x7d6b5d);

  int found = 0;
  for (const Colour& colour : kColourWords) {
    if (!has(colour.text)) continue;
    const Rgb tint = hex(colour.value);
    ++found;
    if (found == 1) {
      if (mood.animal) {  // "a red fox in the snow": the fox is red, as foxes are, and the snow stays white
        mood.accent = mix(tint, mood.accent, 0.4f);
        continue;
      }
      mood.accent = tint;
      mood.sky_low = tinted(mood.sky_low, tint, 0.30f);
      mood.sky_top = tinted(mood.sky_top, tint, 0.40f);
      mood.far = tinted(mood.far, tint, 0.35f);
      mood.near = tinted(mood.near, tint, 0.35f);
      mood.paper = tinted(mood.paper, tint, 0.35f);
    } else {
      mood.accent2 = tint;
    }
  }

  // Two pictures of one palette still differ: a small turn of brightness and warmth.
  const float warm = flt(rng.unit() - 0.5) * 0.10f;
  const float light = 0.94f + flt(rng.unit()) * 0.12f;
  for (Rgb* color : {&mood.sky_top, &mood.sky_low, &mood.far, &mood.near, &mood.paper}) {
    *color = Rgb{color->r * (1 + warm), color->g, color->b * (1 - warm)} * light;
  }
  mood.light_height += flt(rng.unit() - 0.5) * 0.16f;
  return mood;
}

}  // namespace pixelfleet::engine::synthetic
