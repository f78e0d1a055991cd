// HeaderReader: sequential little-endian reads from the start of a file, bounded by the header limit and the file.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace pixelfleet::catalog {

class HeaderReader {
 public:
  // Regular files only: a FIFO or a device could block or never end.
  static Result<HeaderReader> open(const std::string& path);

  std::int64_t file_bytes() const { return file_bytes_; }
  std::int64_t position() const { return position_; }

  // Nothing when the file or the header limit ends before; the reader is useless from then on.
  std::optional<std::string> bytes(std::int64_t count);
  std::optional<std::uint32_t> u32();
  std::optional<std::uint64_t> u64();
  bool skip(std::int64_t count);

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  HeaderReader(std::FILE* file, std::int64_t file_bytes) : file_(file), file_bytes_(file_bytes) {}
  bool may_read(std::int64_t count) const;

  std::unique_ptr<std::FILE, Closer> file_;
  std::int64_t file_bytes_ = 0;
  std::int64_t position_ = 0;
};

}  // namespace pixelfleet::catalog
