#include <csetjmp>
#include <cstdio>
#include <utility>

// jpeglib.h needs the C headers above it.
#include <jpeglib.h>

#include "base/format.h"
#include "media/picture_file.h"

namespace pixelfleet::media {
namespace {

// A progressive file may ask for the whole picture to be gone over again with every few bytes.
constexpr int kMaxScans = 100;

struct Reader {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf out{};
  char message[JMSG_LENGTH_MAX] = "";
  int warnings = 0;
};

Reader& reader_of(j_common_ptr jpeg) { return *static_cast<Reader*>(jpeg->client_data); }

extern "C" {
void pf_jpeg_read_exit(j_common_ptr jpeg) {
  Reader& reader = reader_of(jpeg);
  if (reader.message[0] == '\0') jpeg->err->format_message(jpeg, reader.message);
  std::longjmp(reader.out, 1);
}
// The library goes on over missing data with grey; for us the picture is cut off.
void pf_jpeg_read_message(j_common_ptr jpeg, int level) {
  Reader& reader = reader_of(jpeg);
  if (level >= 0) return;
  if (reader.warnings++ == 0) jpeg->err->format_message(jpeg, reader.message);
}
void pf_jpeg_read_progress(j_common_ptr jpeg) {
  Reader& reader = reader_of(jpeg);
  if (reader.jpeg.input_scan_number <= kMaxScans) return;
  std::snprintf(reader.message, sizeof reader.message, "more than %d scans", kMaxScans);
  std::longjmp(reader.out, 1);
}
}

// The functions that the library may jump out of have trivial locals only.
bool read_head(Reader& reader, std::string_view bytes) {
  if (setjmp(reader.out) != 0) return false;
  jpeg_mem_src(&reader.jpeg, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_save_markers(&reader.jpeg, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&reader.jpeg, TRUE);
  // What prints in four colours stays in four: the library cannot turn it into three.
  const bool four = reader.jpeg.jpeg_color_space == JCS_CMYK || reader.jpeg.jpeg_color_space == JCS_YCCK;
  reader.jpeg.out_color_space = four ? JCS_CMYK : JCS_RGB;
  return true;
}

bool read_rows(Reader& reader, std::uint8_t* pixels, std::size_t stride) {
  if (setjmp(reader.out) != 0) return false;
  jpeg_start_decompress(&reader.jpeg);
  while (reader.jpeg.output_scanline < reader.jpeg.output_height) {
    JSAMPROW row = pixels + reader.jpeg.output_scanline * stride;
    jpeg_read_scanlines(&reader.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&reader.jpeg);
  return reader.warnings == 0;
}

// Adobe writes them inverted, and nobody else writes them.
std::vector<std::uint8_t> from_cmyk(const std::vector<std::uint8_t>& cmyk) {
  std::vector<std::uint8_t> rgb;
  rgb.reserve(cmyk.size() / 4 * 3);
  for (std::size_t i = 0; i + 3 < cmyk.size(); i += 4) {
    for (std::size_t c = 0; c < 3; ++c) rgb.push_back(static_cast<std::uint8_t>(cmyk[i + c] * cmyk[i + 3] / 255));
  }
  return rgb;
}

// EXIF's tag 0x0112: 1 is upright, 2-8 are turned or mirrored. 1 for whatever is not understood.
int orientation_of(const jpeg_decompress_struct& jpeg) {
  for (jpeg_saved_marker_ptr marker = jpeg.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (!data.starts_with(std::string_view("Exif\0\0", 6))) continue;
    if (const int found = exif_orientation(data.substr(6)); found != 1) return found;
  }
  return 1;
}

}  // namespace

int exif_orientation(std::string_view tiff) {
  const bool little = tiff.starts_with("II");
  if (!little && !tiff.starts_with("MM")) return 1;
  const auto number = [&](std::size_t at, std::size_t bytes) -> std::size_t {
    if (at > tiff.size() || bytes > tiff.size() - at) return 0;
    std::size_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      value = value << 8 | static_cast<unsigned char>(tiff[at + (little ? bytes - 1 - i : i)]);
    }
    return value;
  };
  const std::size_t directory = number(4, 4);
  const std::size_t entries = number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * 12;
    if (entry >= tiff.size()) break;
    if (number(entry, 2) != 0x0112) continue;
    const std::size_t value = number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Result<RgbImage> decode_jpeg(std::string_view bytes, const std::string& name) {
  Reader reader;
  reader.jpeg.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = pf_jpeg_read_exit;
  reader.errors.emit_message = pf_jpeg_read_message;
  reader.jpeg.client_data = &reader;
  jpeg_create_decompress(&reader.jpeg);
  reader.progress.progress_monitor = pf_jpeg_read_progress;
  reader.jpeg.progress = &reader.progress;

  RgbImage image;
  bool good = read_head(reader, bytes);
  const bool four = reader.jpeg.out_color_space == JCS_CMYK;
  const int orientation = good ? orientation_of(reader.jpeg) : 1;  // the library forgets it with the last row
  if (good) {
    image.width = static_cast<int>(reader.jpeg.image_width);
    image.height = static_cast<int>(reader.jpeg.image_height);
    const std::size_t stride = static_cast<std::size_t>(image.width) * (four ? 4 : 3);
    image.data.resize(stride * static_cast<std::size_t>(image.height));
    good = read_rows(reader, image.data.data(), stride);
  }
  const std::string reason = reader.message;
  jpeg_destroy_decompress(&reader.jpeg);
  if (!good) return fail(ErrorCode::corrupt, format("{} is not a readable JPEG: {}", name, reason));
  if (four) image.data = from_cmyk(image.data);
  return upright(std::move(image), orientation);
}

}  // namespace pixelfleet::media
