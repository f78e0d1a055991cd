// The models that users of the v17 lab know by title, and how a file or a download of each is recognised.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "domain/model.h"

namespace pixelfleet::catalog {

struct KnownModel {
  std::string_view title;
  std::vector<std::string_view> hub_ids;  // repositories; the first is the one to get it from
  std::string_view single_file;           // the file that a user needs, as its publisher names it
  std::string_view file_mark;  // file names that begin so (letters and digits only, lower case) are this model
};

const std::vector<KnownModel>& known_models();

// The known model whose file has this name, or nullptr.
const KnownModel* known_by_file(std::string_view file_stem);

// The entry shown until a file is found: not_installed, with the next step.
Model entry_of(const KnownModel& known);

// Gives a model that was found the title, key and hub id that its users know.
void adopt_identity(Model& model, const KnownModel& known);

}  // namespace pixelfleet::catalog
