#include "catalog/demo_models.h"

#include <array>
#include <string_view>

#include "catalog/model_family.h"

namespace pixelfleet::catalog {
namespace {

struct Demo {
  std::string_view scene;
  std::string_view title;
  double load_seconds;
  double step_seconds;
  int memory_gib;
};

// The scenes are those of the synthetic engine.
constexpr std::array kDemos = {
    Demo{"landscape", "Demo Landscape", 4.0, 0.050, 4},
    Demo{"portrait", "Demo Portrait", 4.0, 0.050, 4},
    Demo{"city", "Demo City", 6.0, 0.060, 6},
    Demo{"abstract", "Demo Abstract", 2.0, 0.030, 2},
    Demo{"seascape", "Demo Seascape", 5.0, 0.045, 5},
    Demo{"forest", "Demo Forest", 8.0, 0.070, 7},
    Demo{"space", "Demo Space", 12.0, 0.090, 9},
    Demo{"desert", "Demo Desert", 3.0, 0.040, 3},
    Demo{"botanical", "Demo Botanical", 10.0, 0.080, 8},
    Demo{"geometry", "Demo Geometry", 2.5, 0.035, 2},
    Demo{"underwater", "Demo Underwater", 16.0, 0.1, 10},
    Demo{"aurora", "Demo Aurora", 20.0, 0.120, 12},
};

}  // namespace

std::vector<Model> demo_models(const std::string& faults) {
  std::vector<Model> models;
  for (const Demo& demo : kDemos) {
    Model model;
    model.key = "demo-" + std::string(demo.scene);
    model.title = demo.title;
    model.family = "demo";
    model.engine = "synthetic";
    model.defaults = defaults_of("demo");
    model.limits = limits_of("demo");
    model.memory_bytes = std::int64_t{demo.memory_gib} << 30;
    model.demo = DemoTraits{demo.load_seconds, demo.step_seconds, std::string(demo.scene), faults};
    models.push_back(std::move(model));
  }
  return models;
}

}  // namespace pixelfleet::catalog
