// SealedBuffer: bytes in a memfd that nobody can change any more, so that another process may map them safely.
//
// The sender writes and seals (SHRINK, GROW, WRITE, SEAL); the receiver trusts nothing: it maps only a descriptor
// whose seals and size are what was announced. A file that could still shrink would end the reader with SIGBUS.
// A mapped buffer is immutable and may be read and destroyed on any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pixelfleet::ipc {

// A new sealed memfd with a copy of `bytes`; `name` shows in /proc/PID/fd.
Result<UniqueFd> seal(std::span<const std::uint8_t> bytes, const char* name);

class SealedBuffer {
 public:
  // Refuses descriptors that are no memfd, lack a seal or are not exactly `expected_bytes` (> 0) long. The descriptor
  // is closed either way; the mapping keeps the memory.
  static Result<SealedBuffer> map(UniqueFd memory, std::size_t expected_bytes);
  // The same, of whatever size the descriptor has up to `max_bytes`.
  static Result<SealedBuffer> map_up_to(UniqueFd memory, std::size_t max_bytes);

  ~SealedBuffer();
  SealedBuffer(SealedBuffer&& other) noexcept;
  SealedBuffer& operator=(SealedBuffer&& other) = delete;

  std::span<const std::uint8_t> bytes() const { return {data_, size_}; }

 private:
  SealedBuffer(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  const std::uint8_t* data_;
  std::size_t size_;
};

}  // namespace pixelfleet::ipc
