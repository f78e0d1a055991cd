#include <utility>

#include "media/picture_file.h"

namespace pixelfleet::media {

RgbImage upright(RgbImage image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const bool turned = orientation >= 5;  // rows become columns
  RgbImage result{turned ? image.height : image.width, turned ? image.width : image.height, {}};
  result.data.resize(image.data.size());
  const bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  std::uint8_t* target = result.data.data();
  for (int y = 0; y < result.height; ++y) {
    for (int x = 0; x < result.width; ++x) {
      int from_x = turned ? y : x, from_y = turned ? x : y;
      if (mirror_x) from_x = image.width - 1 - from_x;
      if (mirror_y) from_y = image.height - 1 - from_y;
      const std::uint8_t* source = image.view().row(from_y) + static_cast<std::size_t>(from_x) * 3;
      for (int c = 0; c < 3; ++c) *target++ = *source++;
    }
  }
  return result;
}

Result<RgbImage> decode_picture(std::string_view bytes, const std::string& name) {
  const auto info = probe_image(bytes);
  if (!info) return fail(info.error().code, name + ": " + info.error().message);
  return info->media_type == "image/png" ? decode_png(bytes, name) : decode_jpeg(bytes, name);
}

}  // namespace pixelfleet::media
