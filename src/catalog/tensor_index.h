// TensorIndex: what the header of a checkpoint file says about its tensors, read without touching the weights.
//
// Files come from anyone. Every declared length is checked against the file, counts and sizes are limited before memory
// is spent, and the format is decided by the first bytes. Nothing here executes or maps the file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace pixelfleet::catalog {

enum class FileFormat { safetensors, gguf };

struct TensorInfo {
  std::vector<std::int64_t> shape;  // outermost dimension first, for both formats
};

struct TensorIndex {
  FileFormat format = FileFormat::safetensors;
  std::int64_t file_bytes = 0;
  std::map<std::string, TensorInfo> tensors;
};

// Limits of a header. Real checkpoints stay far below: SDXL has 2,515 tensors in 300 KB.
inline constexpr std::int64_t kMaxHeaderBytes = 16 << 20;
inline constexpr std::int64_t kMaxTensors = 50'000;
inline constexpr std::size_t kMaxTensorNameBytes = 512;
inline constexpr std::size_t kMaxDimensions = 8;

// Opens a regular file and reads its header.
// not_found, permission_denied: the file cannot be opened; corrupt: its header is broken, cut off or above the limits;
// invalid_argument: it is another kind of file (a pickle, an archive ...), with what to use instead.
Result<TensorIndex> read_tensor_index(const std::string& path);

}  // namespace pixelfleet::catalog
