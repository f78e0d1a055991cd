// Looks at a model file before an engine does: engines abort, hang or run code on files that we can refuse by their
// head.
//
// Reads headers only, never weights, and trusts no number in them. What passes is a safetensors or GGUF file whose
// tensors have known types, sizes that agree with their shapes, and lie inside the file. It may still be the wrong
// model: that only the engine can say.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pixelfleet::engine {

enum class ModelFormat { safetensors, gguf };

struct ModelFile {
  ModelFormat format = ModelFormat::safetensors;
  std::uint64_t bytes = 0;
  std::uint64_t tensors = 0;
};

// Errors: not_found, permission_denied, invalid_argument (another kind of file, such as a pickle), corrupt.
// The message names the file, what is wrong and the next step.
Result<ModelFile> check_model_file(const std::string& path);

std::string_view name(ModelFormat format);

}  // namespace pixelfleet::engine
