// Shared by the checks of model files: a bounded reader, and what a name or a product of sides may be.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/utf8.h"

namespace pixelfleet::engine {

inline constexpr std::uint64_t kMaxTensors = 100'000;  // the largest models have a few thousand
inline constexpr std::uint64_t kMaxNameBytes = 1024;
inline constexpr std::size_t kMaxDimensions = 8;

// a * b, or nothing when it does not fit.
inline std::optional<std::uint64_t> multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

inline bool is_good_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && !find_invalid_utf8(name) &&
         std::none_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
}

// A file read forward in blocks; every read says whether the bytes were there.
class Reader {
 public:
  Reader(int fd, std::uint64_t size) : fd_(fd), size_(size) {}

  std::uint64_t size() const { return size_; }
  std::uint64_t position() const { return position_; }
  std::uint64_t left() const { return size_ - position_; }

  bool read(void* to, std::size_t bytes) {
    char* out = static_cast<char*>(to);
    while (bytes > 0) {
      if (at_ == buffer_.size() && !fill()) return false;
      const std::size_t part = std::min(bytes, buffer_.size() - at_);
      std::memcpy(out, buffer_.data() + at_, part);
      out += part;
      at_ += part;
      position_ += part;
      bytes -= part;
    }
    return true;
  }

  template <class Number>
  bool read_number(Number& number) {
    static_assert(std::endian::native == std::endian::little, "model files are little-endian");
    return read(&number, sizeof number);
  }

  bool skip(std::uint64_t bytes) {
    if (bytes > left()) return false;
    const std::uint64_t buffered = std::min<std::uint64_t>(bytes, buffer_.size() - at_);
    at_ += static_cast<std::size_t>(buffered);
    position_ += bytes;
    if (bytes > buffered) {
      buffer_.clear();
      at_ = 0;
    }
    return true;
  }

 private:
  bool fill() {
    buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, left())));
    at_ = 0;
    std::size_t have = 0;
    while (have < buffer_.size()) {
      const ssize_t got =
          pread(fd_, buffer_.data() + have, buffer_.size() - have, static_cast<off_t>(position_ + have));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    buffer_.resize(have);
    return have > 0;
  }

  static constexpr std::uint64_t kBlock = 256 * 1024;

  int fd_;
  std::uint64_t size_;
  std::uint64_t position_ = 0;
  std::vector<char> buffer_;
  std::size_t at_ = 0;
};

// The number of tensors of a safetensors file whose header has `header_bytes`; `reader` stands at the header.
Result<std::uint64_t> check_safetensors(Reader& reader, std::uint64_t header_bytes);

// The number of tensors of a GGUF file; `reader` stands after the magic.
Result<std::uint64_t> check_gguf(Reader& reader);

}  // namespace pixelfleet::engine
