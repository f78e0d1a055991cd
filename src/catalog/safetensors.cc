#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/format.h"
#include "base/json_full.h"
#include "base/utf8.h"
#include "catalog/header_formats.h"
#include "catalog/header_reader.h"

namespace pixelfleet::catalog {
namespace {

constexpr std::array kTypes = {
    std::pair{"F64", 8},  std::pair{"F32", 4},     std::pair{"F16", 2},     std::pair{"BF16", 2},
    std::pair{"I64", 8},  std::pair{"I32", 4},     std::pair{"I16", 2},     std::pair{"I8", 1},
    std::pair{"U64", 8},  std::pair{"U32", 4},     std::pair{"U16", 2},     std::pair{"U8", 1},
    std::pair{"BOOL", 1}, std::pair{"F8_E4M3", 1}, std::pair{"F8_E5M2", 1}, std::pair{"F8_E8M0", 1},
};

std::optional<std::int64_t> type_bytes(const std::string& type) {
  for (const auto& [name, bytes] : kTypes) {
    if (type == name) return bytes;
  }
  return std::nullopt;
}

tl::unexpected<Error> broken(std::string message) { return fail(ErrorCode::corrupt, std::move(message)); }

std::string shown(const std::string& name) { return std::string(utf8_prefix(name, 80)); }

// A list of at most `limit` whole numbers that are not negative, or nothing.
std::optional<std::vector<std::int64_t>> whole_numbers(const Json& json, std::size_t limit) {
  if (!json.is_array() || json.size() > limit) return std::nullopt;
  std::vector<std::int64_t> result;
  for (const Json& item : json) {
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
      return std::nullopt;
    }
    result.push_back(item.get<std::int64_t>());
  }
  return result;
}

Result<TensorInfo> read_tensor(const std::string& name, const Json& json, std::int64_t data_bytes) {
  if (!json.is_object() || !json.contains("dtype") || !json["dtype"].is_string() || !json.contains("shape") ||
      !json.contains("data_offsets")) {
    return broken(format("tensor '{}' lacks dtype, shape or data_offsets", shown(name)));
  }
  const auto bytes_each = type_bytes(json["dtype"].get<std::string>());
  const auto shape = whole_numbers(json["shape"], kMaxDimensions);
  const auto offsets = whole_numbers(json["data_offsets"], 2);
  if (!bytes_each) return broken(format("tensor '{}' has an unknown dtype", shown(name)));
  if (!shape) return broken(format("tensor '{}' has a broken shape", shown(name)));
  if (!offsets || offsets->size() != 2 || (*offsets)[0] > (*offsets)[1]) {
    return broken(format("tensor '{}' has broken data_offsets", shown(name)));
  }
  const auto elements = element_count(*shape);
  std::int64_t expected = 0;
  if (!elements || __builtin_mul_overflow(*elements, *bytes_each, &expected)) {
    return broken(format("the shape of tensor '{}' overflows", shown(name)));
  }
  if ((*offsets)[1] - (*offsets)[0] != expected) {
    return broken(format("tensor '{}' takes {} bytes by its shape but {} by its data_offsets", shown(name), expected,
                         (*offsets)[1] - (*offsets)[0]));
  }
  if ((*offsets)[1] > data_bytes) {
    return broken(format("the file is cut off: tensor '{}' ends at data byte {}, but only {} are there; copy it again",
                         shown(name), (*offsets)[1], data_bytes));
  }
  return TensorInfo{*shape};
}

}  // namespace

bool is_sane_tensor_name(const std::string& name) {
  return !name.empty() && name.size() <= kMaxTensorNameBytes && !find_invalid_utf8(name) &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

std::optional<std::int64_t> element_count(const std::vector<std::int64_t>& shape) {
  std::int64_t product = 1;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(product, dimension, &product)) return std::nullopt;
  }
  return product;
}

Result<TensorIndex> with_path(const std::string& path, Result<TensorIndex> result) {
  if (result) return result;
  Error error = result.error();
  error.message = format("{}: {}", path, error.message);
  return fail(std::move(error));
}

Result<TensorIndex> read_safetensors(const std::string& path) {
  auto opened = HeaderReader::open(path);
  if (!opened) return fail(opened.error());
  HeaderReader& reader = *opened;
  const auto length = reader.u64();
  if (!length) return broken("the file is too short for a safetensors header");
  if (*length > static_cast<std::uint64_t>(kMaxHeaderBytes)) {
    return broken(
        format("a safetensors header of {} bytes is declared; at most {} are read", *length, kMaxHeaderBytes));
  }
  const auto text = reader.bytes(static_cast<std::int64_t>(*length));
  if (!text) {
    return broken(format("the file is cut off: its header shall have {} bytes, the whole file has {}; copy it again",
                         *length, reader.file_bytes()));
  }
  const auto json = parse_json(*text, {static_cast<std::size_t>(kMaxHeaderBytes), 4, 600'000});
  if (!json) return broken("the safetensors header is broken: " + json.error().message);
  if (!json->is_object()) return broken("the safetensors header is not a JSON object");
  if (json->size() > static_cast<std::size_t>(kMaxTensors) + 1) {
    return broken(format("{} tensors; at most {} are read", json->size(), kMaxTensors));
  }

  TensorIndex index{FileFormat::safetensors, reader.file_bytes(), {}};
  const std::int64_t data_bytes = reader.file_bytes() - reader.position();
  for (const auto& [name, value] : json->items()) {
    if (name == "__metadata__") continue;
    if (!is_sane_tensor_name(name)) return broken("a tensor's name is empty, too long or not printable");
    auto tensor = read_tensor(name, value, data_bytes);
    if (!tensor) return fail(tensor.error());
    index.tensors.emplace(name, std::move(*tensor));
  }
  if (index.tensors.empty()) return broken("the safetensors header lists no tensors");
  return index;
}

}  // namespace pixelfleet::catalog
