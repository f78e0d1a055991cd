// Encoders: RGB8 pixels to PNG (what is published) and JPEG (previews, thumbnails), in memory.
//
// Stateless and thread-safe. PNG rows use the Paeth filter and deflate's run-length strategy: the size of zlib level 6
// within a few per cent at a seventh of its time, which matters because every picture of every gpu comes through here.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "media/rgb_view.h"

namespace pixelfleet::media {

// A text chunk. Written as tEXt where the text is Latin-1 (what old readers know), else as uncompressed iTXt.
struct PngText {
  std::string key;   // 1-79 characters of Latin-1
  std::string text;  // UTF-8

  friend bool operator==(const PngText&, const PngText&) = default;
};

enum class TextCarrier { latin1_if_possible, always_utf8 };
struct PngTextChunk {
  PngText text;
  TextCarrier carrier = TextCarrier::latin1_if_possible;
};

// internal when libpng refuses; its message is in the error.
Result<std::string> encode_png(const RgbView& pixels, std::span<const PngTextChunk> texts);

// `quality` 1-100. Chroma is halved in both directions.
Result<std::string> encode_jpeg(const RgbView& pixels, int quality);

std::string base64(std::string_view bytes);

}  // namespace pixelfleet::media
