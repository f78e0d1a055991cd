#include "media/rgb_view.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace pixelfleet::media {
namespace {

constexpr int kFractionBits = 16;

// Which source cells one target cell covers, and how much of each: weights sum to 1 << kFractionBits.
struct Span {
  int first = 0;
  std::vector<std::uint32_t> weights;
};

std::vector<Span> spans(int source, int target) {
  std::vector<Span> result(static_cast<std::size_t>(target));
  const double ratio = static_cast<double>(source) / target;
  for (int i = 0; i < target; ++i) {
    const double begin = i * ratio;
    const double end = std::min((i + 1) * ratio, static_cast<double>(source));
    Span& span = result[static_cast<std::size_t>(i)];
    span.first = std::min(static_cast<int>(begin), source - 1);
    std::int64_t left = std::int64_t{1} << kFractionBits;
    for (int cell = span.first; cell < source && cell < end; ++cell) {
      const double covered = std::min(end, cell + 1.0) - std::max(begin, static_cast<double>(cell));
      const auto weight = std::min<std::int64_t>(left, std::llround(covered / ratio * (1 << kFractionBits)));
      span.weights.push_back(static_cast<std::uint32_t>(weight));
      left -= weight;
    }
    if (span.weights.empty()) span.weights.push_back(0);
    span.weights.front() += static_cast<std::uint32_t>(left);  // what rounding left over
  }
  return result;
}

}  // namespace

RgbView crop_centred(const RgbView& view, int width, int height) {
  const int w = std::min(width, view.width);
  const int h = std::min(height, view.height);
  const int left = (view.width - w) / 2;
  const int top = (view.height - h) / 2;
  return {view.row(top) + static_cast<std::size_t>(left) * 3, w, h, view.stride_bytes};
}

RgbImage box_downscale(const RgbView& view, int width, int height) {
  CHECK(width > 0 && height > 0 && width <= view.width && height <= view.height);
  RgbImage result{width, height, {}};
  result.data.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  const std::vector<Span> columns = spans(view.width, width);
  const std::vector<Span> rows = spans(view.height, height);
  const std::size_t row_values = static_cast<std::size_t>(view.width) * 3;
  std::vector<std::uint32_t> sums(row_values);  // one source row's width: the weighted sum of the covered rows

  for (int y = 0; y < height; ++y) {
    const Span& span = rows[static_cast<std::size_t>(y)];
    std::fill(sums.begin(), sums.end(), 0u);
    for (std::size_t k = 0; k < span.weights.size(); ++k) {
      const std::uint8_t* source = view.row(span.first + static_cast<int>(k));
      for (std::size_t i = 0; i < row_values; ++i) sums[i] += source[i] * span.weights[k];
    }
    std::uint8_t* target = result.data.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 3;
    for (const Span& column : columns) {
      std::uint64_t red = 0, green = 0, blue = 0;
      const std::uint32_t* cell = sums.data() + static_cast<std::size_t>(column.first) * 3;
      for (const std::uint32_t weight : column.weights) {
        red += std::uint64_t{cell[0]} * weight;
        green += std::uint64_t{cell[1]} * weight;
        blue += std::uint64_t{cell[2]} * weight;
        cell += 3;
      }
      constexpr std::uint64_t kHalf = std::uint64_t{1} << (2 * kFractionBits - 1);
      *target++ = static_cast<std::uint8_t>((red + kHalf) >> (2 * kFractionBits));
      *target++ = static_cast<std::uint8_t>((green + kHalf) >> (2 * kFractionBits));
      *target++ = static_cast<std::uint8_t>((blue + kHalf) >> (2 * kFractionBits));
    }
  }
  return result;
}

namespace {

// Where target cell `i` looks between two source cells, and how much of the second one it takes, of 256.
struct Between {
  int first = 0;
  int second = 0;
  unsigned part = 0;
};

Between between(int i, int source, int target) {
  const double at = std::clamp((i + 0.5) * source / target - 0.5, 0.0, source - 1.0);
  const int first = static_cast<int>(at);
  return {first, std::min(first + 1, source - 1), static_cast<unsigned>(std::lround((at - first) * 256))};
}

RgbImage enlarged(const RgbView& view, int width, int height) {
  RgbImage result{width, height, {}};
  result.data.reserve(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  std::vector<Between> columns;
  for (int x = 0; x < width; ++x) columns.push_back(between(x, view.width, width));
  for (int y = 0; y < height; ++y) {
    const Between row = between(y, view.height, height);
    const std::uint8_t* upper = view.row(row.first);
    const std::uint8_t* lower = view.row(row.second);
    for (const Between& column : columns) {
      const std::size_t left = static_cast<std::size_t>(column.first) * 3;
      const std::size_t right = static_cast<std::size_t>(column.second) * 3;
      for (std::size_t c = 0; c < 3; ++c) {
        const unsigned above = upper[left + c] * (256 - column.part) + upper[right + c] * column.part;
        const unsigned below = lower[left + c] * (256 - column.part) + lower[right + c] * column.part;
        result.data.push_back(static_cast<std::uint8_t>((above * (256 - row.part) + below * row.part + 32768) >> 16));
      }
    }
  }
  return result;
}

}  // namespace

RgbImage resized(const RgbView& view, int width, int height) {
  RgbImage smaller = box_downscale(view, std::min(width, view.width), std::min(height, view.height));
  if (smaller.width == width && smaller.height == height) return smaller;
  return enlarged(smaller.view(), width, height);
}

FittedSize fit_within(int width, int height, int max_width, int max_height) {
  const double ratio =
      std::min({1.0, static_cast<double>(max_width) / width, static_cast<double>(max_height) / height});
  return {std::max(1, static_cast<int>(std::lround(width * ratio))),
          std::max(1, static_cast<int>(std::lround(height * ratio)))};
}

}  // namespace pixelfleet::media
