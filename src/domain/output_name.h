// The names of run directories and pictures, decided when a job is accepted (compat: the v17 lab's scheme).
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"

namespace pixelfleet {

enum class RunKind { run, multi_profiles, all_models_profiles };

// Lower case; letters and digits stay, every other run becomes one '-'; at most `max_characters`; "untitled" when
// empty.
std::string slug(std::string_view text, std::size_t max_characters = 80);

// "run_20261124_091530", without a collision suffix.
std::string run_directory(RunKind kind, Instant accepted_at);

// "20261124_091530_photoreal_a-red-fox_seed42_01.png"; `index` counts from 0 and is shown from 01.
std::string image_file_name(Instant accepted_at, std::string_view profile_title, std::string_view prompt,
                            std::int64_t seed, int index);

// NAME, NAME_2, NAME_3 ... before the extension, if there is one.
std::string with_collision_suffix(const std::string& name, int n);

}  // namespace pixelfleet
