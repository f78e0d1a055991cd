// ByteSource: turns a fuzzer's bytes into small decisions; after the last byte everything is 0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pixelfleet::fuzz {

class ByteSource {
 public:
  ByteSource(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  bool empty() const { return at_ >= size_; }
  std::uint8_t byte() { return empty() ? std::uint8_t{0} : data_[at_++]; }
  // In [0, bound).
  int below(int bound) { return byte() % bound; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

}  // namespace pixelfleet::fuzz
