// The parts of decode_picture: one file format each, and how a camera was held.
#pragma once

#include <string>
#include <string_view>

#include "media/reader.h"

namespace pixelfleet::media {

// `bytes` were probed: their size is within the limits. `name` is what an error calls them.
Result<RgbImage> decode_png(std::string_view bytes, const std::string& name);
Result<RgbImage> decode_jpeg(std::string_view bytes, const std::string& name);

// EXIF's number for how the rows lie, 1 to 8, from its TIFF part; 1 (as they are) for what is not understood.
int exif_orientation(std::string_view tiff);
RgbImage upright(RgbImage image, int orientation);

}  // namespace pixelfleet::media
