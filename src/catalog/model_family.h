// Which family a checkpoint belongs to and what it contains, told by its tensors' names and shapes; and what the
// family means: sizes, steps, limits, memory.
#pragma once

#include <string>

#include "catalog/tensor_index.h"
#include "domain/model.h"

namespace pixelfleet::catalog {

// What kind of file it is. Only a generator makes pictures; the others are parts of one.
enum class Content { generator, vae, taesd, text_encoder, lora, unknown };

struct FileTraits {
  Content content = Content::unknown;
  std::string family;  // sd1, sd2, sdxl, sd3, flux ... ; empty when it is no generator
  bool has_vae = false;
  bool has_text_encoder = false;
};

FileTraits traits_of(const TensorIndex& index);

ModelDefaults defaults_of(const std::string& family);
ModelLimits limits_of(const std::string& family);

// What a model of `part_bytes` in files takes on a gpu at its default size: weights as the engine keeps them and the
// buffers of the largest step, which are there only while a picture is made (workspace_estimate). The device context of
// its process comes on top.
std::int64_t memory_estimate(const std::string& family, std::int64_t part_bytes);
std::int64_t workspace_estimate(const std::string& family);

}  // namespace pixelfleet::catalog
