// InputPictures: what a chunk starts from, as its engine wants it; and how what was made anew joins what stays.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "workers/protocol.h"

namespace pixelfleet::workers {

// Of the size that is generated; empty where the mode takes none.
struct InputPictures {
  std::vector<std::uint8_t> init_rgb;
  std::vector<std::uint8_t> mask;       // for the engine, a byte a pixel: 255 is made anew, 0 stays
  std::vector<std::uint8_t> soft_mask;  // the same with its feather, for what joins the two

  // The pixels of `rgb` that the mask keeps become those of the input; over the feather the two run into each other.
  void restore_unmasked(std::vector<std::uint8_t>& rgb) const;
};

// Decodes and stretches the files to what is published; around it, what is generated and cut away continues the
// edge. invalid_argument and corrupt name the picture that is wrong.
Result<InputPictures> read_inputs(const protocol::Run& run, const std::map<std::string, UniqueFd>& files);

}  // namespace pixelfleet::workers
