// RgbView: a rectangle of RGB8 pixels that somebody else owns; cropping moves pointers, never bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pixelfleet::media {

struct RgbView {
  const std::uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  std::size_t stride_bytes = 0;  // from one row to the next

  const std::uint8_t* row(int y) const { return data + static_cast<std::size_t>(y) * stride_bytes; }
};

// Pixels of our own, rows without gaps.
struct RgbImage {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> data;

  RgbView view() const { return {data.data(), width, height, static_cast<std::size_t>(width) * 3}; }
};

// The centred part of at most `width` x `height`; where the picture is smaller than asked, it stays as it is.
RgbView crop_centred(const RgbView& view, int width, int height);

// The mean of the pixels under each target pixel (area weighted). The target is never larger than the source.
RgbImage box_downscale(const RgbView& view, int width, int height);

// Stretched to that size: the mean where it becomes smaller, in straight lines between pixels where it becomes larger.
RgbImage resized(const RgbView& view, int width, int height);

struct FittedSize {
  int width = 0;
  int height = 0;
};
// The largest size with the same aspect ratio and no side above its limit; never larger than the original.
FittedSize fit_within(int width, int height, int max_width, int max_height);

}  // namespace pixelfleet::media
