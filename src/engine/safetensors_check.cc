// The header of a safetensors file: JSON that says type, shape and place of every tensor.
#include <array>
#include <string>
#include <utility>

#include "base/format.h"
#include "base/json_full.h"
#include "engine/model_file_internal.h"

namespace pixelfleet::engine {
namespace {

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit

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

}  // namespace

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

}  // namespace pixelfleet::engine
