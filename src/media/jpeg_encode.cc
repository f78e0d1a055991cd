#include <csetjmp>
#include <cstdio>
#include <cstdlib>

// jpeglib.h needs the C headers above it.
#include <jpeglib.h>

#include "base/format.h"
#include "media/encode.h"

namespace pixelfleet::media {
namespace {

struct JpegFailure {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

extern "C" {
void pf_jpeg_error(j_common_ptr info) {
  auto* failure = reinterpret_cast<JpegFailure*>(info->err);
  failure->manager.format_message(info, failure->message);
  std::longjmp(failure->jump, 1);
}
void pf_jpeg_message(j_common_ptr) {}
}

// Everything libjpeg may jump out of; `buffer` is malloc'ed by it.
bool write_jpeg(jpeg_compress_struct& jpeg, JpegFailure& failure, const RgbView& pixels, int quality,
                unsigned char** buffer, unsigned long* size) {
  if (setjmp(failure.jump) != 0) return false;
  jpeg_create_compress(&jpeg);
  jpeg_mem_dest(&jpeg, buffer, size);
  jpeg.image_width = static_cast<JDIMENSION>(pixels.width);
  jpeg.image_height = static_cast<JDIMENSION>(pixels.height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, quality, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(pixels.row(static_cast<int>(jpeg.next_scanline)));
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  return true;
}

}  // namespace

Result<std::string> encode_jpeg(const RgbView& pixels, int quality) {
  if (pixels.width <= 0 || pixels.height <= 0) {
    return fail(ErrorCode::invalid_argument, format("a picture of {}x{} pixels", pixels.width, pixels.height));
  }
  JpegFailure failure{};
  jpeg_compress_struct jpeg{};
  jpeg.err = jpeg_std_error(&failure.manager);
  failure.manager.error_exit = pf_jpeg_error;
  failure.manager.output_message = pf_jpeg_message;
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  const bool written = write_jpeg(jpeg, failure, pixels, quality, &buffer, &size);
  std::string bytes;
  if (written) bytes.assign(reinterpret_cast<const char*>(buffer), size);
  jpeg_destroy_compress(&jpeg);
  std::free(buffer);
  if (!written) return fail(ErrorCode::internal, format("JPEG encoding failed: {}", failure.message));
  return bytes;
}

std::string base64(std::string_view bytes) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    const auto at = [&](std::size_t k) { return k < left ? static_cast<unsigned char>(bytes[i + k]) : 0u; };
    const unsigned group = (at(0) << 16) | (at(1) << 8) | at(2);
    text.push_back(kAlphabet[group >> 18]);
    text.push_back(kAlphabet[(group >> 12) & 63u]);
    text.push_back(left > 1 ? kAlphabet[(group >> 6) & 63u] : '=');
    text.push_back(left > 2 ? kAlphabet[group & 63u] : '=');
  }
  return text;
}

}  // namespace pixelfleet::media
