#include <png.h>

#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <memory>
#include <string_view>

#include "base/format.h"
#include "media/picture_file.h"

namespace pixelfleet::media {
namespace {

constexpr std::size_t kMaxChunkBytes = 8u << 20;
constexpr unsigned kMaxTextChunks = 128;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

extern "C" {
void pf_png_read_error(png_structp png, png_const_charp message) {
  *static_cast<std::string*>(png_get_error_ptr(png)) = message;
  png_longjmp(png, 1);
}
void pf_png_read_warning(png_structp, png_const_charp) {}
}

// One open PNG file with our limits set. The functions that libpng may jump out of have trivial locals only.
class PngFile {
 public:
  static Result<std::unique_ptr<PngFile>> open(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "rbe");
    if (file == nullptr) return fail(system_error("cannot open " + path, errno));
    return from(file, path);
  }
  // `bytes` outlive it.
  static Result<std::unique_ptr<PngFile>> over(std::string_view bytes, const std::string& name) {
    std::FILE* file = ::fmemopen(const_cast<char*>(bytes.data()), bytes.size(), "rb");
    if (file == nullptr) return fail(system_error("cannot read " + name, errno));
    return from(file, name);
  }

  static Result<std::unique_ptr<PngFile>> from(std::FILE* opened, const std::string& path) {
    std::unique_ptr<PngFile> file(new PngFile(path));
    file->file_.reset(opened);
    unsigned char signature[8];
    if (std::fread(signature, 1, sizeof signature, file->file_.get()) != sizeof signature ||
        png_sig_cmp(signature, 0, sizeof signature) != 0) {
      return fail(ErrorCode::corrupt, path + " is not a PNG file");
    }
    file->png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &file->error_, pf_png_read_error, pf_png_read_warning);
    if (file->png_ != nullptr) file->info_ = png_create_info_struct(file->png_);
    if (file->info_ == nullptr) return fail(ErrorCode::resource_exhausted, "no memory to read " + path);
    if (!file->read_head()) return fail(file->error());
    return file;
  }
  ~PngFile() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngFile(const PngFile&) = delete;
  PngFile& operator=(const PngFile&) = delete;

  Error error() const { return {ErrorCode::corrupt, format("{} is not a readable PNG: {}", path_, error_)}; }
  int width() const { return static_cast<int>(png_get_image_width(png_, info_)); }
  int height() const { return static_cast<int>(png_get_image_height(png_, info_)); }

  std::vector<PngText> texts() const {
    png_textp chunks = nullptr;
    int count = 0;
    png_get_text(png_, info_, &chunks, &count);
    std::vector<PngText> result;
    for (int i = 0; i < count; ++i) {
      const bool utf8 = chunks[i].compression >= PNG_ITXT_COMPRESSION_NONE;
      const std::size_t length = utf8 ? chunks[i].itxt_length : chunks[i].text_length;
      const std::string_view text(chunks[i].text != nullptr ? chunks[i].text : "", chunks[i].text ? length : 0);
      result.push_back({from_latin1(chunks[i].key), utf8 ? std::string(text) : from_latin1(text)});
    }
    return result;
  }

  // `rows` must hold height() pointers to width() * 3 bytes.
  bool read_rows(png_bytep* rows) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_expand(png_);
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    png_set_gray_to_rgb(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != static_cast<std::size_t>(width()) * 3) {
      png_error(png_, "pixels cannot be turned into RGB");
    }
    png_read_image(png_, rows);
    png_read_end(png_, nullptr);
    return true;
  }

 private:
  explicit PngFile(std::string path) : path_(std::move(path)) {}

  static std::string from_latin1(std::string_view text) {
    std::string result;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x80) {
        result.push_back(c);
      } else {
        result.push_back(static_cast<char>(0xC0u | (byte >> 6)));
        result.push_back(static_cast<char>(0x80u | (byte & 0x3Fu)));
      }
    }
    return result;
  }

  bool read_head() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_user_limits(png_, kMaxReadSide, kMaxReadSide);
    png_set_chunk_malloc_max(png_, kMaxChunkBytes);
    png_set_chunk_cache_max(png_, kMaxTextChunks);
    png_init_io(png_, file_.get());
    png_set_sig_bytes(png_, 8);
    png_read_info(png_, info_);
    return true;
  }

  const std::string path_;
  std::string error_;
  std::unique_ptr<std::FILE, FileCloser> file_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

Result<std::vector<PngText>> read_png_text(const std::string& path) {
  auto file = PngFile::open(path);
  if (!file) return fail(file.error());
  return (*file)->texts();
}

namespace {

Result<RgbImage> pixels_of(PngFile& file, const std::string& name) {
  if (std::int64_t{file.width()} * file.height() > kMaxReadPixels) {
    return fail(ErrorCode::resource_exhausted,
                format("{} has {}x{} pixels; at most {} are read", name, file.width(), file.height(), kMaxReadPixels));
  }
  RgbImage image{file.width(), file.height(), {}};
  const std::size_t stride = static_cast<std::size_t>(image.width) * 3;
  image.data.resize(stride * static_cast<std::size_t>(image.height));
  std::vector<png_bytep> rows;
  for (int y = 0; y < image.height; ++y) rows.push_back(image.data.data() + static_cast<std::size_t>(y) * stride);
  if (!file.read_rows(rows.data())) return fail(file.error());
  return image;
}

}  // namespace

Result<RgbImage> read_png(const std::string& path) {
  auto file = PngFile::open(path);
  if (!file) return fail(file.error());
  return pixels_of(**file, path);
}

Result<RgbImage> decode_png(std::string_view bytes, const std::string& name) {
  auto file = PngFile::over(bytes, name);
  if (!file) return fail(file.error());
  return pixels_of(**file, name);
}

}  // namespace pixelfleet::media
