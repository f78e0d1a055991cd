// From files to a catalogue entry: looks into each part and decides family, state and, where it cannot be used, why.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "catalog/model_family.h"
#include "domain/model.h"

namespace pixelfleet::catalog {

struct PartFile {
  PartRole role = PartRole::checkpoint;
  std::string file;  // absolute path

  friend bool operator==(const PartFile&, const PartFile&) = default;
};

// Remembers what it saw in each file as long as the file's size and time stay the same: a rescan of a thousand files
// reads no headers again. Not thread-safe.
class FileInspector {
 public:
  struct Seen {
    std::int64_t bytes = 0;
    FileTraits traits;
  };
  Result<Seen> inspect(const std::string& file);

 private:
  using Stamp = std::pair<std::int64_t, std::int64_t>;  // size and time of change
  struct Entry {
    Stamp stamp;
    Result<Seen> result;
  };
  std::map<std::string, Entry> entries_;
};

// Never fails: a part that is missing or broken makes the entry not_installed or unloadable, with the reason.
Model build_model(const std::string& title, const std::vector<PartFile>& parts, FileInspector& inspector);

// "SDXL Base 1.0" -> "sdxl-base-1.0": lower case; letters, digits and dots stay, every other run becomes one '-'.
ModelKey model_key(const std::string& title);

}  // namespace pixelfleet::catalog
