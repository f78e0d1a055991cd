// The registry: models that a user named with `pixelfleet models add`, in one YAML file that may be edited by hand.
//
//   models:
//     - name: My Model
//       parts: {checkpoint: /models/my.safetensors, taesd: /models/taesd.safetensors}
//
// Changes rewrite the file under a lock and a new name, so that readers see the old list or the new one.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/model_builder.h"

namespace pixelfleet::catalog {

struct RegisteredModel {
  std::string name;
  std::vector<PartFile> parts;

  friend bool operator==(const RegisteredModel&, const RegisteredModel&) = default;
};

// An absent file is an empty list. corrupt: the text, with file and line.
Result<std::vector<RegisteredModel>> load_registry(const std::string& file);

// Checks name and parts (they must be loadable now), then writes. Adding the same again changes nothing; the same name
// with other parts is a conflict. Relative paths are taken from the working directory. Returns the catalogue entry.
Result<Model> add_model(const std::string& file, const RegisteredModel& model);

// By name or key, without regard to case. The model's files are not touched.
Result<> remove_model(const std::string& file, const std::string& name);

// "checkpoint=FILE": one `--part` of the command line.
Result<PartFile> parse_part(const std::string& text);

}  // namespace pixelfleet::catalog
