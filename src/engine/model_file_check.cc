#include "engine/model_file_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/format.h"
#include "base/json_full.h"
#include "base/unique_fd.h"
#include "base/utf8.h"

namespace pixelfleet::engine {
namespace {

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the safetensors format's own limit
constexpr std::uint64_t kMaxTensors = 200'000;
constexpr std::uint64_t kMaxNameBytes = 1024;
constexpr std::size_t kMaxDimensions = 8;

// a * b, or nothing when it does not fit.
std::optional<std::uint64_t> multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

bool is_good_name(std::string_view name) {
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

// --- safetensors -----------------------------------------------------------------------------------------------------

std::optional<std::uint64_t> bits_of_dtype(std::string_view dtype) {
  constexpr std::array<std::pair<std::string_view, std::uint64_t>, 16> kDtypes{{
      {"F64", 64},
      {"F32", 32},
      {"F16", 16},
      {"BF16", 16},
      {"F8_E4M3", 8},
      {"F8_E5M2", 8},
      {"F8_E8M0", 8},
      {"I64", 64},
      {"I32", 32},
      {"I16", 16},
      {"I8", 8},
      {"U64", 64},
      {"U32", 32},
      {"U16", 16},
      {"U8", 8},
      {"BOOL", 8},
  }};
  for (const auto& [known, bits] : kDtypes) {
    if (known == dtype) return bits;
  }
  return std::nullopt;
}

struct Extent {
  std::uint64_t begin, end;
};

// What is wrong with one tensor's entry, or where its bytes lie.
Result<Extent> check_tensor(std::string_view name, const Json& entry, std::uint64_t data_bytes) {
  const auto broken = [&](std::string_view what) {
    return fail(ErrorCode::corrupt, format("tensor \"{}\" {}", utf8_prefix(name, 80), what));
  };
  if (!is_good_name(name)) {
    return fail(ErrorCode::corrupt, "the name of a tensor is empty, longer than 1024 bytes or has control characters");
  }
  if (!entry.is_object()) return broken("is not described by an object");
  const auto dtype = entry.find("dtype"), shape = entry.find("shape"), offsets = entry.find("data_offsets");
  if (dtype == entry.end() || !dtype->is_string()) return broken("has no dtype");
  const std::optional<std::uint64_t> bits = bits_of_dtype(dtype->get_ref<const std::string&>());
  if (!bits) return broken("has an unknown dtype");
  if (shape == entry.end() || !shape->is_array() || shape->size() > kMaxDimensions) {
    return broken("has no shape, or one of more than 8 dimensions");
  }
  std::optional<std::uint64_t> bytes = *bits / 8;
  for (const Json& side : *shape) {
    if (!side.is_number_unsigned()) return broken("has a shape that is not made of whole numbers");
    bytes = multiply(*bytes, side.get<std::uint64_t>());
    if (!bytes) return broken("has a shape whose product overflows");
  }
  if (offsets == entry.end() || !offsets->is_array() || offsets->size() != 2 || !offsets->at(0).is_number_unsigned() ||
      !offsets->at(1).is_number_unsigned()) {
    return broken("has no data_offsets");
  }
  const Extent extent{offsets->at(0).get<std::uint64_t>(), offsets->at(1).get<std::uint64_t>()};
  if (extent.begin > extent.end || extent.end - extent.begin != *bytes) {
    return broken("takes another number of bytes than its shape and dtype say");
  }
  if (extent.end > data_bytes) {
    return broken(format("ends {} bytes after the end of the file: the file is truncated", extent.end - data_bytes));
  }
  return extent;
}

Result<std::uint64_t> check_safetensors(Reader& reader, std::uint64_t header_bytes) {
  if (header_bytes > kMaxHeaderBytes) {
    return fail(ErrorCode::corrupt,
                format("its header claims {} bytes; the format allows {}", header_bytes, kMaxHeaderBytes));
  }
  if (header_bytes > reader.left()) {
    return fail(ErrorCode::corrupt, format("its header claims {} bytes and only {} follow: the file is truncated",
                                           header_bytes, reader.left()));
  }
  std::string text(static_cast<std::size_t>(header_bytes), '\0');
  if (!reader.read(text.data(), text.size())) return fail(ErrorCode::corrupt, "its header could not be read");
  Result<Json> header =
      parse_json(text, {.max_bytes = kMaxHeaderBytes, .max_depth = 8, .max_values = std::size_t{16} * kMaxTensors});
  if (!header)
    return fail(ErrorCode::corrupt, "its header is not the JSON that it should be: " + header.error().message);
  if (!header->is_object()) return fail(ErrorCode::corrupt, "its header is not a JSON object");
  if (header->size() > kMaxTensors) {
    return fail(ErrorCode::corrupt, format("it lists {} tensors; at most {} are read", header->size(), kMaxTensors));
  }

  const std::uint64_t data_bytes = reader.left();
  std::vector<Extent> extents;
  for (const auto& [name, entry] : header->items()) {
    if (name == "__metadata__") continue;
    Result<Extent> extent = check_tensor(name, entry, data_bytes);
    if (!extent) return fail(extent.error());
    if (extent->begin < extent->end) extents.push_back(*extent);
  }
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  for (std::size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].begin < extents[i - 1].end) return fail(ErrorCode::corrupt, "the bytes of two tensors overlap");
  }
  if (extents.empty()) return fail(ErrorCode::corrupt, "it holds no tensor");
  return extents.size();
}

// --- GGUF ------------------------------------------------------------------------------------------------------------

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

// --- other kinds of files that people rename or download by mistake
// ---------------------------------------------------

// What the file is instead of a model, or nothing.
std::optional<std::string> other_kind(std::string_view head) {
  const auto begins = [&](std::string_view magic) { return head.starts_with(magic); };
  constexpr std::string_view kConvert =
      "; it can run any code when it is opened, so it is never read. Get the model as "
      ".safetensors, or convert it in a place that you trust";
  if (begins("PK\x03\x04")) return "is a zip archive, as .ckpt and .pt files are" + std::string(kConvert);
  if (head.size() > 1 && head[0] == '\x80' && head[1] >= 1 && head[1] <= 5) {
    return "is a Python pickle" + std::string(kConvert);
  }
  if (begins("version https://git-lfs")) {
    return "is a Git LFS pointer, not the model itself. Fetch the file with git lfs pull, or download it again";
  }
  if (begins("<") || begins("\n<")) return "is a web page, not a model: the download failed. Download it again";
  if (begins("\x1f\x8b") || begins("7z\xbc\xaf") || begins("Rar!") ||
      (head.size() > 262 && head.substr(257, 5) == "ustar")) {
    return "is an archive. Unpack it and use the .safetensors or .gguf file inside";
  }
  if (begins("\x89PNG") || begins("\xff\xd8\xff")) return "is a picture, not a model";
  return std::nullopt;
}

Result<ModelFile> check_open_file(Reader& reader) {
  std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(reader.size(), 512)), '\0');
  Reader peek = reader;
  if (!peek.read(head.data(), head.size())) return fail(ErrorCode::corrupt, "could not be read");
  if (head.empty()) return fail(ErrorCode::corrupt, "is empty. Download it again");

  // A safetensors file begins with a length, whose bytes may look like anything.
  const bool may_be_safetensors = head.size() > 8 && head[8] == '{';
  if (!may_be_safetensors) {
    if (const std::optional<std::string> kind = other_kind(head)) return fail(ErrorCode::invalid_argument, *kind);
  }
  if (head.starts_with("GGUF")) {
    reader.skip(4);
    Result<std::uint64_t> tensors = GgufCheck(reader).run();
    if (!tensors)
      return fail(ErrorCode::corrupt, "is a broken GGUF file: " + tensors.error().message + ". Get it again");
    return ModelFile{ModelFormat::gguf, reader.size(), *tensors};
  }
  std::uint64_t header_bytes = 0;
  if (!may_be_safetensors || !reader.read_number(header_bytes)) {
    return fail(ErrorCode::invalid_argument,
                "is neither a safetensors nor a GGUF file, which are the kinds that PixelFleet reads");
  }
  Result<std::uint64_t> tensors = check_safetensors(reader, header_bytes);
  if (!tensors) {
    return fail(ErrorCode::corrupt, "is a broken safetensors file: " + tensors.error().message + ". Get it again");
  }
  return ModelFile{ModelFormat::safetensors, reader.size(), *tensors};
}

}  // namespace

Result<ModelFile> check_model_file(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe must not make us wait
  if (!file) {
    const int reason = errno;
    return fail(system_error(format("the model file {}", path), reason));
  }
  struct stat status {};
  if (fstat(file.get(), &status) != 0) {
    const int reason = errno;
    return fail(system_error(format("the model file {}", path), reason));
  }
  if (S_ISDIR(status.st_mode)) {
    return fail(ErrorCode::invalid_argument,
                format("the model file {} is a directory. Name the .safetensors or .gguf file inside", path));
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::invalid_argument, format("the model file {} is not an ordinary file", path));
  }
  Reader reader(file.get(), static_cast<std::uint64_t>(status.st_size));
  Result<ModelFile> checked = check_open_file(reader);
  if (!checked) return fail(checked.error().code, format("the model file {} {}", path, checked.error().message));
  return checked;
}

std::string_view name(ModelFormat format) { return format == ModelFormat::gguf ? "gguf" : "safetensors"; }

}  // namespace pixelfleet::engine
