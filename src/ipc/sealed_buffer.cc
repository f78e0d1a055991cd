#include "ipc/sealed_buffer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/format.h"

namespace pixelfleet::ipc {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

// The size of a memfd that carries all seals.
Result<std::size_t> sealed_size(int memory) {
  const int seals = fcntl(memory, F_GET_SEALS);
  if (seals < 0) return fail(ErrorCode::corrupt, "the descriptor that came with the frame is not a memfd");
  if ((seals & kSeals) != kSeals) {
    return fail(ErrorCode::corrupt,
                format("the shared memory is not sealed (seals {:#x}, needed {:#x}): it could still change or shrink",
                       seals, kSeals));
  }
  struct stat status {};
  if (fstat(memory, &status) != 0) return fail(system_error("fstat of shared memory", errno));
  return static_cast<std::size_t>(status.st_size);
}

}  // namespace

Result<UniqueFd> seal(std::span<const std::uint8_t> bytes, const char* name) {
  UniqueFd memory(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory) return fail(system_error("creating shared memory", errno));
  // pwrite, not a mapping: F_SEAL_WRITE is refused while a writable mapping exists, and this is faster.
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t n = pwrite(memory.get(), bytes.data() + written, bytes.size() - written, static_cast<off_t>(written));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(system_error(format("writing {} bytes of shared memory", bytes.size()), errno));
    written += static_cast<std::size_t>(n);
  }
  if (fcntl(memory.get(), F_ADD_SEALS, kSeals | F_SEAL_SEAL) != 0) {
    return fail(system_error("sealing shared memory", errno));
  }
  return memory;
}

Result<SealedBuffer> SealedBuffer::map(UniqueFd memory, std::size_t expected_bytes) {
  const auto size = sealed_size(memory.get());
  if (!size) return fail(size.error());
  if (*size != expected_bytes || *size == 0) {
    return fail(ErrorCode::corrupt,
                format("the shared memory has {} bytes where {} were announced", *size, expected_bytes));
  }
  void* address = mmap(nullptr, *size, PROT_READ, MAP_SHARED | MAP_POPULATE, memory.get(), 0);
  if (address == MAP_FAILED) return fail(system_error(format("mapping {} bytes of shared memory", *size), errno));
  return SealedBuffer(static_cast<const std::uint8_t*>(address), *size);
}

Result<SealedBuffer> SealedBuffer::map_up_to(UniqueFd memory, std::size_t max_bytes) {
  const auto size = sealed_size(memory.get());
  if (!size) return fail(size.error());
  if (*size > max_bytes) {
    return fail(ErrorCode::corrupt, format("the shared memory has {} bytes; at most {} are allowed", *size, max_bytes));
  }
  return map(std::move(memory), *size);
}

SealedBuffer::~SealedBuffer() {
  if (data_ != nullptr) munmap(const_cast<std::uint8_t*>(data_), size_);
}

SealedBuffer::SealedBuffer(SealedBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

}  // namespace pixelfleet::ipc
