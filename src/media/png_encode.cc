#include <png.h>
#include <zlib.h>

#include <csetjmp>
#include <optional>
#include <vector>

#include "base/format.h"
#include "media/encode.h"

namespace pixelfleet::media {
namespace {

// The text as Latin-1, or nothing where a character does not fit. The input is valid UTF-8.
std::optional<std::string> to_latin1(const std::string& text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      result.push_back(text[i]);
    } else if ((byte == 0xC2 || byte == 0xC3) && i + 1 < text.size()) {
      const unsigned low = static_cast<unsigned char>(text[++i]) & 0x3Fu;
      result.push_back(static_cast<char>(((byte & 0x03u) << 6) | low));
    } else {
      return std::nullopt;
    }
  }
  return result;
}

struct Output {
  std::string bytes;
  std::string error;
};

extern "C" {
void pf_png_append(png_structp png, png_bytep data, png_size_t size) {
  auto* output = static_cast<Output*>(png_get_io_ptr(png));
  bool out_of_memory = false;
  try {
    output->bytes.append(reinterpret_cast<const char*>(data), size);
  } catch (const std::exception&) {
    out_of_memory = true;  // longjmp must not leave a handler
  }
  if (out_of_memory) png_error(png, "out of memory");
}
void pf_png_flush(png_structp) {}
void pf_png_write_error(png_structp png, png_const_charp message) {
  static_cast<Output*>(png_get_error_ptr(png))->error = message;
  png_longjmp(png, 1);
}
void pf_png_write_warning(png_structp, png_const_charp) {}
}

// Everything libpng may jump out of. Only trivial locals live here: a jump runs no destructor.
bool write_png(png_structp png, png_infop info, const RgbView& pixels, std::vector<png_text>& texts) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_IHDR(png, info, static_cast<png_uint_32>(pixels.width), static_cast<png_uint_32>(pixels.height), 8,
               PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_PAETH);
  png_set_compression_level(png, 1);
  png_set_compression_strategy(png, Z_RLE);
  if (!texts.empty()) png_set_text(png, info, texts.data(), static_cast<int>(texts.size()));
  png_write_info(png, info);
  for (int y = 0; y < pixels.height; ++y) png_write_row(png, pixels.row(y));
  png_write_end(png, nullptr);
  return true;
}

}  // namespace

Result<std::string> encode_png(const RgbView& pixels, std::span<const PngTextChunk> texts) {
  if (pixels.width <= 0 || pixels.height <= 0) {
    return fail(ErrorCode::invalid_argument, format("a picture of {}x{} pixels", pixels.width, pixels.height));
  }
  std::vector<std::string> bodies;
  std::vector<png_text> chunks;
  bodies.reserve(texts.size());
  for (const PngTextChunk& chunk : texts) {
    auto latin1 = chunk.carrier == TextCarrier::latin1_if_possible ? to_latin1(chunk.text.text) : std::nullopt;
    png_text text{};
    text.compression = latin1 ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    text.key = const_cast<char*>(chunk.text.key.c_str());
    bodies.push_back(latin1 ? std::move(*latin1) : chunk.text.text);
    text.text = bodies.back().data();
    if (latin1) text.text_length = bodies.back().size();
    if (!latin1) text.itxt_length = bodies.back().size();
    chunks.push_back(text);
  }

  Output output;
  output.bytes.reserve(static_cast<std::size_t>(pixels.width) * static_cast<std::size_t>(pixels.height) * 2);
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &output, pf_png_write_error, pf_png_write_warning);
  png_infop info = png != nullptr ? png_create_info_struct(png) : nullptr;
  bool written = false;
  if (info != nullptr) {
    png_set_write_fn(png, &output, pf_png_append, pf_png_flush);
    written = write_png(png, info, pixels, chunks);
  }
  png_destroy_write_struct(&png, &info);
  if (!written) {
    return fail(ErrorCode::internal,
                "PNG encoding failed: " + (output.error.empty() ? std::string("out of memory") : output.error));
  }
  output.bytes.shrink_to_fit();
  return std::move(output.bytes);
}

}  // namespace pixelfleet::media
