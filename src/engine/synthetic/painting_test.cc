#include "engine/synthetic/painting.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/synthetic/scenes.h"

namespace pixelfleet::engine::synthetic {
namespace {

PaintingRequest request(int width, int height) {
  return {.prompt = "a lake at dawn",
          .negative_prompt = "",
          .width = width,
          .height = height,
          .steps = 8,
          .cfg_scale = 7,
          .seed = 3};
}

TEST(Painting, PreviewsTurnFromNoiseIntoThePicture) {
  Painting painting(scene_named("landscape"), request(160, 96));  // small enough to be previewed as it is
  std::vector<double> distances;
  std::vector<Preview> previews;
  for (int step = 0; step <= 8; ++step) previews.push_back(painting.preview(step));
  const std::vector<std::uint8_t> picture = painting.take();
  for (const Preview& preview : previews) {
    ASSERT_EQ(preview.rgb.size(), picture.size());
    double distance = 0;
    for (std::size_t i = 0; i < picture.size(); ++i) distance += std::abs(int{preview.rgb[i]} - int{picture[i]});
    distances.push_back(distance / static_cast<double>(picture.size()));
  }
  EXPECT_GT(distances.front(), 30);
  EXPECT_LT(distances.back(), 1);
  for (std::size_t i = 1; i < distances.size(); ++i) EXPECT_LT(distances[i], distances[i - 1]) << i;
}

TEST(Painting, PreviewsAreSmallAndKeepTheShape) {
  const Preview preview = Painting(scene_named("city"), request(1024, 512)).preview(4);
  EXPECT_LE(preview.width, 192);
  EXPECT_EQ(preview.width, 2 * preview.height);
}

TEST(Painting, EveryNameGetsAScene) {
  EXPECT_EQ(scene_named("portrait").name, "portrait");
  EXPECT_EQ(scene_named("demo-portrait").name, "portrait");
  EXPECT_EQ(scene_named("anything").name, scene_named("anything").name);
}

}  // namespace
}  // namespace pixelfleet::engine::synthetic
