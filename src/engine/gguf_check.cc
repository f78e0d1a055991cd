// The header of a GGUF file: typed metadata, then type, shape and place of every tensor.
#include <array>
#include <string>

#include "base/format.h"
#include "engine/model_file_internal.h"

namespace pixelfleet::engine {
namespace {

enum GgufType : std::uint32_t { kGgufString = 8, kGgufArray = 9 };

// Bytes of a fixed-size GGUF value type, 0 for strings and arrays; nothing for a type that does not exist.
std::optional<std::uint64_t> gguf_value_bytes(std::uint32_t type) {
  constexpr std::array<std::uint64_t, 13> kBytes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  if (type >= kBytes.size()) return std::nullopt;
  return kBytes[type];
}

struct BlockType {
  std::uint32_t type;
  std::uint64_t elements, bytes;  // of one block
};
// The tensor types whose blocks we know; a type beside them is left to the engine.
constexpr std::array kBlockTypes{
    BlockType{0, 1, 4},      BlockType{1, 1, 2},      BlockType{2, 32, 18},    BlockType{3, 32, 20},
    BlockType{6, 32, 22},    BlockType{7, 32, 24},    BlockType{8, 32, 34},    BlockType{9, 32, 36},
    BlockType{10, 256, 84},  BlockType{11, 256, 110}, BlockType{12, 256, 144}, BlockType{13, 256, 176},
    BlockType{14, 256, 210}, BlockType{15, 256, 292}, BlockType{24, 1, 1},     BlockType{25, 1, 2},
    BlockType{26, 1, 4},     BlockType{27, 1, 8},     BlockType{28, 1, 8},     BlockType{30, 1, 2},
};
constexpr std::uint32_t kMaxTensorType = 63;

class GgufCheck {
 public:
  explicit GgufCheck(Reader& reader) : reader_(reader) {}

  Result<std::uint64_t> run() {
    std::uint32_t version = 0;
    std::uint64_t tensors = 0, values = 0;
    if (!reader_.read_number(version) || !reader_.read_number(tensors) || !reader_.read_number(values))
      return short_file();
    if (version != 2 && version != 3) {
      return fail(ErrorCode::corrupt, format("its GGUF version is {}; 2 and 3 are read", version));
    }
    if (tensors == 0 || tensors > kMaxTensors) {
      return fail(ErrorCode::corrupt, format("it claims {} tensors; 1 to {} are read", tensors, kMaxTensors));
    }
    if (values > kMaxTensors) {
      return fail(ErrorCode::corrupt, format("it claims {} metadata values; at most {} are read", values, kMaxTensors));
    }
    for (std::uint64_t i = 0; i < values; ++i) {
      if (Result<> value = check_value(); !value) return fail(value.error());
    }
    std::uint64_t data_end = 0;
    for (std::uint64_t i = 0; i < tensors; ++i) {
      Result<std::uint64_t> end = check_tensor();
      if (!end) return fail(end.error());
      data_end = std::max(data_end, *end);
    }
    const std::uint64_t padding = (alignment_ - reader_.position() % alignment_) % alignment_;
    const std::uint64_t available = reader_.left() > padding ? reader_.left() - padding : 0;
    if (data_end > available) {
      return fail(
          ErrorCode::corrupt,
          format("its tensors end {} bytes after the end of the file: the file is truncated", data_end - available));
    }
    return tensors;
  }

 private:
  static tl::unexpected<Error> short_file() {
    return fail(ErrorCode::corrupt, "its header goes on after the end of the file: the file is truncated");
  }

  Result<std::string> read_string(std::uint64_t longest) {
    std::uint64_t length = 0;
    if (!reader_.read_number(length)) return short_file();
    if (length > longest) return fail(ErrorCode::corrupt, format("a text in its header claims {} bytes", length));
    std::string text(static_cast<std::size_t>(length), '\0');
    if (!reader_.read(text.data(), text.size())) return short_file();
    return text;
  }

  Result<> skip_values(std::uint32_t type, std::uint64_t count) {
    const std::optional<std::uint64_t> bytes = gguf_value_bytes(type);
    if (!bytes || type == kGgufArray)
      return fail(ErrorCode::corrupt, format("a metadata value has the unknown type {}", type));
    if (type != kGgufString) {
      const std::optional<std::uint64_t> total = multiply(*bytes, count);
      if (!total || !reader_.skip(*total)) return short_file();
      return {};
    }
    for (std::uint64_t i = 0; i < count; ++i) {
      std::uint64_t length = 0;
      if (!reader_.read_number(length) || !reader_.skip(length)) return short_file();
    }
    return {};
  }

  Result<> check_value() {
    Result<std::string> key = read_string(kMaxNameBytes);
    if (!key) return fail(key.error());
    std::uint32_t type = 0;
    if (!reader_.read_number(type)) return short_file();
    if (type == kGgufArray) {
      std::uint64_t count = 0;
      if (!reader_.read_number(type) || !reader_.read_number(count)) return short_file();
      return skip_values(type, count);
    }
    constexpr std::uint32_t kGgufUint32 = 4;
    if (*key == "general.alignment" && type == kGgufUint32) {
      std::uint32_t alignment = 0;
      if (!reader_.read_number(alignment)) return short_file();
      if (!std::has_single_bit(alignment) || alignment > 65536) {
        return fail(ErrorCode::corrupt, format("its alignment is {}, which is no power of two up to 65536", alignment));
      }
      alignment_ = alignment;
      return {};
    }
    return skip_values(type, 1);
  }

  // The offset after the tensor's last byte, counted from the start of the data.
  Result<std::uint64_t> check_tensor() {
    Result<std::string> name = read_string(kMaxNameBytes);
    if (!name) return fail(name.error());
    if (!is_good_name(*name))
      return fail(ErrorCode::corrupt, "the name of a tensor is empty or has control characters");
    const auto broken = [&](std::string_view what) {
      return fail(ErrorCode::corrupt, format("tensor \"{}\" {}", utf8_prefix(*name, 80), what));
    };
    std::uint32_t dimensions = 0, type = 0;
    if (!reader_.read_number(dimensions)) return short_file();
    if (dimensions == 0 || dimensions > kMaxDimensions) return broken(format("claims {} dimensions", dimensions));
    std::optional<std::uint64_t> elements = 1;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      std::uint64_t side = 0;
      if (!reader_.read_number(side)) return short_file();
      elements = multiply(*elements, side);
      if (!elements) return broken("has a shape whose product overflows");
    }
    std::uint64_t offset = 0;
    if (!reader_.read_number(type) || !reader_.read_number(offset)) return short_file();
    if (type > kMaxTensorType) return broken(format("has the unknown type {}", type));
    if (offset % alignment_ != 0) return broken("is not aligned as the file says");
    std::uint64_t bytes = 1;  // at least, where the type is not known here
    for (const BlockType& block : kBlockTypes) {
      if (block.type != type) continue;
      const std::optional<std::uint64_t> total =
          multiply((*elements + block.elements - 1) / block.elements, block.bytes);
      if (!total) return broken("has a shape whose product overflows");
      bytes = *total;
    }
    std::uint64_t end = 0;
    if (__builtin_add_overflow(offset, bytes, &end)) return broken("has an offset that overflows");
    return end;
  }

  Reader& reader_;
  std::uint64_t alignment_ = 32;
};

}  // namespace

Result<std::uint64_t> check_gguf(Reader& reader) { return GgufCheck(reader).run(); }

}  // namespace pixelfleet::engine
