#include "workers/input_pictures.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/format.h"
#include "media/reader.h"

namespace pixelfleet::workers {
namespace {

constexpr std::int64_t kMaxFileBytes = 64 << 20;
constexpr std::uint8_t kMasked = 128;

struct Size {
  int width = 0;
  int height = 0;
};

Result<std::string> read_whole(int fd, const std::string& name) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail(system_error("cannot read " + name, errno));
  if (!S_ISREG(info.st_mode) || info.st_size > kMaxFileBytes) {
    return fail(ErrorCode::invalid_argument, format("{} is no file of at most {} MiB", name, kMaxFileBytes >> 20));
  }
  std::string bytes(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(system_error("cannot read " + name, errno));
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  bytes.resize(done);
  return bytes;
}

// Puts the picture into the middle of a larger one whose border repeats its edge.
std::vector<std::uint8_t> framed(const media::RgbImage& image, Size size) {
  const int left = (size.width - image.width) / 2, top = (size.height - image.height) / 2;
  std::vector<std::uint8_t> rgb;
  rgb.reserve(static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height) * 3);
  for (int y = 0; y < size.height; ++y) {
    const std::uint8_t* row = image.view().row(std::clamp(y - top, 0, image.height - 1));
    for (int x = 0; x < size.width; ++x) {
      const std::uint8_t* pixel = row + static_cast<std::size_t>(std::clamp(x - left, 0, image.width - 1)) * 3;
      rgb.insert(rgb.end(), pixel, pixel + 3);
    }
  }
  return rgb;
}

// Mean of so many pixels to both sides, along rows and then columns; at the border those that are there.
void blur(std::vector<std::uint8_t>& mask, Size size, int radius) {
  const auto line = [&](std::size_t start, std::size_t step, int length) {
    std::vector<std::uint8_t> source(static_cast<std::size_t>(length));
    for (std::size_t i = 0; i < source.size(); ++i) source[i] = mask[start + i * step];
    int sum = 0, count = 0;
    for (int i = 0; i < std::min(radius, length); ++i, ++count) sum += source[static_cast<std::size_t>(i)];
    for (int i = 0; i < length; ++i) {
      if (i + radius < length) sum += source[static_cast<std::size_t>(i + radius)], ++count;
      if (i - radius - 1 >= 0) sum -= source[static_cast<std::size_t>(i - radius - 1)], --count;
      mask[start + static_cast<std::size_t>(i) * step] = static_cast<std::uint8_t>((sum + count / 2) / count);
    }
  };
  const auto width = static_cast<std::size_t>(size.width);
  for (int y = 0; y < size.height; ++y) line(static_cast<std::size_t>(y) * width, 1, size.width);
  for (int x = 0; x < size.width; ++x) line(static_cast<std::size_t>(x), width, size.height);
}

}  // namespace

void InputPictures::restore_unmasked(std::vector<std::uint8_t>& rgb) const {
  for (std::size_t i = 0; i < soft_mask.size(); ++i) {
    const unsigned anew = soft_mask[i];
    for (std::size_t c = 3 * i; c < 3 * i + 3; ++c) {
      rgb[c] = static_cast<std::uint8_t>((rgb[c] * anew + init_rgb[c] * (255 - anew) + 127) / 255);
    }
  }
}

Result<InputPictures> read_inputs(const protocol::Run& run, const std::map<std::string, UniqueFd>& files) {
  const Size generated{run.width, run.height};
  const auto read = [&](const std::string& role) -> Result<std::vector<std::uint8_t>> {
    const auto file = files.find(role);
    if (file == files.end()) return fail(ErrorCode::invalid_argument, format("{} is missing", role));
    const auto bytes = read_whole(file->second.get(), role);
    if (!bytes) return fail(bytes.error());
    const auto image = media::decode_picture(*bytes, role);
    if (!image) {
      return fail(image.error().code,
                  image.error().message + ". Upload the picture again, whole, and submit the job with the new id");
    }
    return framed(media::resized(image->view(), run.published_width, run.published_height), generated);
  };
  InputPictures inputs;
  if (run.mode == "txt2img") return inputs;
  auto init = read("init_image");
  if (!init) return fail(init.error());
  inputs.init_rgb = std::move(*init);
  if (run.mode != "inpaint") return inputs;
  const auto mask = read("mask_image");
  if (!mask) return fail(mask.error());
  bool any = false;
  for (std::size_t i = 0; i < mask->size(); i += 3) {
    const unsigned light = (299u * (*mask)[i] + 587u * (*mask)[i + 1] + 114u * (*mask)[i + 2]) / 1000;
    inputs.mask.push_back(light >= kMasked ? 255 : 0);
    any = any || light >= kMasked;
  }
  if (!any) {
    return fail(ErrorCode::invalid_argument, "mask_image is dark all over: paint white what shall be made anew");
  }
  inputs.soft_mask = inputs.mask;
  if (run.mask_feather > 0) blur(inputs.soft_mask, generated, run.mask_feather);
  return inputs;
}

}  // namespace pixelfleet::workers
