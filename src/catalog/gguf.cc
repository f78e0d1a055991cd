#include <algorithm>
#include <array>
#include <optional>

#include "base/format.h"
#include "catalog/header_formats.h"
#include "catalog/header_reader.h"

namespace pixelfleet::catalog {
namespace {

// Quantised types store blocks of `elements` values in `bytes` bytes.
struct BlockType {
  std::uint32_t id;
  std::int64_t elements;
  std::int64_t bytes;
};
constexpr std::array kBlockTypes = {
    BlockType{0, 1, 4},      BlockType{1, 1, 2},      BlockType{2, 32, 18},    BlockType{3, 32, 20},
    BlockType{6, 32, 22},    BlockType{7, 32, 24},    BlockType{8, 32, 34},    BlockType{9, 32, 36},
    BlockType{10, 256, 84},  BlockType{11, 256, 110}, BlockType{12, 256, 144}, BlockType{13, 256, 176},
    BlockType{14, 256, 210}, BlockType{15, 256, 292}, BlockType{16, 256, 66},  BlockType{17, 256, 74},
    BlockType{18, 256, 98},  BlockType{19, 256, 50},  BlockType{20, 32, 18},   BlockType{21, 256, 110},
    BlockType{22, 256, 82},  BlockType{23, 256, 136}, BlockType{24, 1, 1},     BlockType{25, 1, 2},
    BlockType{26, 1, 4},     BlockType{27, 1, 8},     BlockType{28, 1, 8},     BlockType{29, 256, 56},
    BlockType{30, 1, 2},     BlockType{34, 256, 54},  BlockType{35, 256, 66},  BlockType{39, 32, 17},
};

enum ValueType : std::uint32_t { kUint32 = 4, kString = 8, kArray = 9 };
// Sizes of the value types 0-12 (integers, floats, bool); strings and arrays carry their own length.
constexpr std::array<std::int64_t, 13> kValueBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

constexpr std::uint64_t kMaxKeys = 10'000;
constexpr std::uint64_t kMaxStringBytes = 1 << 20;
constexpr std::uint64_t kMaxArrayItems = 1 << 20;
constexpr std::uint32_t kMaxGgufDimensions = 4;

tl::unexpected<Error> broken(std::string message) { return fail(ErrorCode::corrupt, std::move(message)); }
tl::unexpected<Error> cut_off() {
  return broken("the GGUF header is cut off or longer than is read; copy the file again");
}

bool skip_string(HeaderReader& reader) {
  const auto length = reader.u64();
  return length && *length <= kMaxStringBytes && reader.skip(static_cast<std::int64_t>(*length));
}

bool skip_value(HeaderReader& reader, std::uint32_t type) {
  if (type == kString) return skip_string(reader);
  if (type < kValueBytes.size() && type != kArray) return reader.skip(kValueBytes[type]);
  if (type != kArray) return false;
  const auto item_type = reader.u32();
  const auto count = reader.u64();
  if (!item_type || !count || *count > kMaxArrayItems || *item_type == kArray) return false;  // arrays do not nest
  if (*item_type != kString) {
    return *item_type < kValueBytes.size() && reader.skip(kValueBytes[*item_type] * static_cast<std::int64_t>(*count));
  }
  for (std::uint64_t i = 0; i < *count; ++i) {
    if (!skip_string(reader)) return false;
  }
  return true;
}

std::optional<std::string> read_string(HeaderReader& reader, std::uint64_t max_bytes) {
  const auto length = reader.u64();
  if (!length || *length > max_bytes) return std::nullopt;
  return reader.bytes(static_cast<std::int64_t>(*length));
}

// The data's alignment, after all metadata has been read; nothing when it is cut off or breaks a limit.
std::optional<std::uint32_t> read_metadata(HeaderReader& reader, std::uint64_t keys) {
  std::uint32_t alignment = 32;
  for (std::uint64_t i = 0; i < keys; ++i) {
    const auto key = read_string(reader, 65'535);
    const auto type = reader.u32();
    if (!key || !type) return std::nullopt;
    if (*key == "general.alignment" && *type == kUint32) {
      const auto value = reader.u32();
      if (!value) return std::nullopt;
      alignment = *value;
    } else if (!skip_value(reader, *type)) {
      return std::nullopt;
    }
  }
  return alignment;
}

struct Placed {
  std::string name;
  TensorInfo info;
  std::int64_t end = 0;  // from the start of the data
};

Result<Placed> read_tensor(HeaderReader& reader, std::uint32_t alignment) {
  Placed tensor;
  const auto name = read_string(reader, kMaxTensorNameBytes);
  const auto dimensions = reader.u32();
  if (!name || !dimensions) return cut_off();
  if (!is_sane_tensor_name(*name)) return broken("a tensor's name is empty, too long or not printable");
  if (*dimensions > kMaxGgufDimensions) return broken(format("tensor '{}' has {} dimensions", *name, *dimensions));
  for (std::uint32_t d = 0; d < *dimensions; ++d) {
    const auto size = reader.u64();
    if (!size) return cut_off();
    if (*size > static_cast<std::uint64_t>(INT64_MAX))
      return broken(format("the shape of tensor '{}' overflows", *name));
    tensor.info.shape.insert(tensor.info.shape.begin(), static_cast<std::int64_t>(*size));  // GGUF: innermost first
  }
  const auto type = reader.u32();
  const auto offset = reader.u64();
  if (!type || !offset) return cut_off();
  const auto block =
      std::find_if(kBlockTypes.begin(), kBlockTypes.end(), [&](const BlockType& b) { return b.id == *type; });
  if (block == kBlockTypes.end()) return broken(format("tensor '{}' has the unknown type {}", *name, *type));
  const auto elements = element_count(tensor.info.shape);
  std::int64_t bytes = 0;
  if (!elements || *elements % block->elements != 0 ||
      __builtin_mul_overflow(*elements / block->elements, block->bytes, &bytes)) {
    return broken(format("the shape of tensor '{}' does not fit its type", *name));
  }
  if (*offset % alignment != 0 || *offset > static_cast<std::uint64_t>(INT64_MAX) ||
      __builtin_add_overflow(static_cast<std::int64_t>(*offset), bytes, &tensor.end)) {
    return broken(format("tensor '{}' has a broken offset", *name));
  }
  tensor.name = *name;
  return tensor;
}

}  // namespace

Result<TensorIndex> read_gguf(const std::string& path) {
  auto opened = HeaderReader::open(path);
  if (!opened) return fail(opened.error());
  HeaderReader& reader = *opened;
  const auto magic = reader.u32();
  const auto version = reader.u32();
  const auto tensors = reader.u64();
  const auto keys = reader.u64();
  if (!magic || !version || !tensors || !keys) return cut_off();
  if (*version != 2 && *version != 3) return broken(format("GGUF version {} is not known; 2 and 3 are", *version));
  if (*tensors == 0 || *tensors > static_cast<std::uint64_t>(kMaxTensors)) {
    return broken(format("{} tensors; 1 to {} are allowed", *tensors, kMaxTensors));
  }
  if (*keys > kMaxKeys) return broken(format("{} metadata keys; at most {} are allowed", *keys, kMaxKeys));
  const auto alignment = read_metadata(reader, *keys);
  if (!alignment) return cut_off();
  if (*alignment < 8 || *alignment > 65'536 || (*alignment & (*alignment - 1)) != 0) {
    return broken(format("alignment {} is not a power of two from 8 to 65536", *alignment));
  }

  TensorIndex index{FileFormat::gguf, reader.file_bytes(), {}};
  std::int64_t end = 0;
  for (std::uint64_t i = 0; i < *tensors; ++i) {
    auto tensor = read_tensor(reader, *alignment);
    if (!tensor) return fail(tensor.error());
    end = std::max(end, tensor->end);
    index.tensors.emplace(std::move(tensor->name), std::move(tensor->info));
  }
  const std::int64_t data_start = (reader.position() + *alignment - 1) / *alignment * *alignment;
  if (end > reader.file_bytes() - data_start) {
    return broken(format("the file is cut off: its tensors need {} bytes, only {} are there; copy it again", end,
                         std::max<std::int64_t>(0, reader.file_bytes() - data_start)));
  }
  return index;
}

}  // namespace pixelfleet::catalog
