// The two file formats behind TensorIndex. Errors say what is wrong in the header, without the path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/tensor_index.h"

namespace pixelfleet::catalog {

Result<TensorIndex> read_safetensors(const std::string& path);
Result<TensorIndex> read_gguf(const std::string& path);

// Puts the path in front of an error's message.
Result<TensorIndex> with_path(const std::string& path, Result<TensorIndex> result);

// Whether a name may be shown and used as a key: bounded, printable UTF-8.
bool is_sane_tensor_name(const std::string& name);

// The product of the dimensions, or nothing when one is negative or the product leaves 63 bits.
std::optional<std::int64_t> element_count(const std::vector<std::int64_t>& shape);

}  // namespace pixelfleet::catalog
