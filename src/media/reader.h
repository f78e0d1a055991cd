// Reads pictures: what an upload is, what a PNG says about itself, and small JPEG copies for the gallery.
//
// Files may come from anyone: sides, pixels, chunk sizes and counts are limited before memory is spent, and the type
// is decided by the first bytes, never by a name. All functions are thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "media/encode.h"
#include "media/rgb_view.h"

namespace pixelfleet::media {

inline constexpr int kMaxReadSide = 16'384;
inline constexpr std::int64_t kMaxReadPixels = 64'000'000;

struct ImageInfo {
  std::string media_type;  // image/png or image/jpeg
  int width = 0;
  int height = 0;
};

// Looks at the headers only. invalid_argument for other types (names what is allowed) and sizes above the limits;
// corrupt when the headers are cut off or contradict themselves.
Result<ImageInfo> probe_image(std::string_view bytes);

// The text chunks before the pixels, in file order; Latin-1 is turned into UTF-8.
Result<std::vector<PngText>> read_png_text(const std::string& path);

// The whole picture as RGB8; transparency is dropped. corrupt when it is cut off.
Result<RgbImage> read_png(const std::string& path);

// A PNG or JPEG, by its first bytes, as RGB8 and as its camera was held; transparency is dropped, and so is all but the
// first picture. `name` is what errors call it. Errors as of probe_image, and corrupt for one that is cut off.
Result<RgbImage> decode_picture(std::string_view bytes, const std::string& name);

// A JPEG whose longer side is at most `max_side`, made anew at each call.
Result<std::string> thumbnail_jpeg(const std::string& path, int max_side);

// Thumbnails that were made once, in files named after the picture's path, time and size.
class ThumbnailCache {
 public:
  // `directory` is made when the first thumbnail is stored.
  explicit ThumbnailCache(std::string directory) : directory_(std::move(directory)) {}

  // From the cache, or made and stored. A cache that cannot be written (a full disk) only costs time.
  Result<std::string> get(const std::string& path, int max_side) const;

 private:
  const std::string directory_;
};

}  // namespace pixelfleet::media
