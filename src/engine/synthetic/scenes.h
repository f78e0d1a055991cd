// The scenes that the demo models paint. Each fills the whole canvas from a mood and a random sequence; the same
// inputs give the same picture.
#pragma once

#include <array>
#include <string_view>

#include "base/rng.h"
#include "engine/synthetic/canvas.h"
#include "engine/synthetic/mood.h"

namespace pixelfleet::engine::synthetic {

using PaintScene = void (*)(Canvas& canvas, const Mood& mood, Rng& rng);

// Outdoors: a sky and what stands under it (scenes_outdoors.cc).
void paint_landscape(Canvas& canvas, const Mood& mood, Rng& rng);
void paint_seascape(Canvas& canvas, const Mood& mood, Rng& rng);
void paint_forest(Canvas& canvas, const Mood& mood, Rng& rng);
void paint_desert(Canvas& canvas, const Mood& mood, Rng& rng);
void paint_city(Canvas& canvas, const Mood& mood, Rng& rng);
void paint_aurora(Canvas& canvas, const Mood& mood, Rng& rng);

// Figures and patterns (scene_portrait.cc, scenes_studies.cc).
void paint_portrait(Canvas& canvas, const Mood& mood, Rng& rng);
void paint_abstract(Canvas& canvas, const Mood& mood, Rng& rng);
void paint_space(Canvas& canvas, const Mood& mood, Rng& rng);
void paint_botanical(Canvas& canvas, const Mood& mood, Rng& rng);
void paint_geometry(Canvas& canvas, const Mood& mood, Rng& rng);
void paint_underwater(Canvas& canvas, const Mood& mood, Rng& rng);

struct Scene {
  std::string_view name;
  PaintScene paint;
};

inline constexpr std::array kScenes{
    Scene{"landscape", paint_landscape}, Scene{"portrait", paint_portrait},     Scene{"city", paint_city},
    Scene{"abstract", paint_abstract},   Scene{"seascape", paint_seascape},     Scene{"forest", paint_forest},
    Scene{"space", paint_space},         Scene{"desert", paint_desert},         Scene{"botanical", paint_botanical},
    Scene{"geometry", paint_geometry},   Scene{"underwater", paint_underwater}, Scene{"aurora", paint_aurora},
};

}  // namespace pixelfleet::engine::synthetic
