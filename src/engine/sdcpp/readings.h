// How the plug-in reads what the library gives: log lines, pictures, the memory of the process.
#pragma once

#include <stable-diffusion.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pixelfleet::engine::sdcpp {

// Of this process; 0 when the system does not say.
std::uint64_t resident_bytes();

// Whether a failure that came with these error lines was one of memory.
bool mentions_memory(const std::vector<std::string>& lines);

// "stable-diffusion.cpp:858  - message\n" without the place and the line end.
std::string_view trimmed(std::string_view text);

// An all-black picture is what not-a-number looks like: the library calls it a success.
bool is_black(const std::vector<std::uint8_t>& rgb);

// RGB8 of `factor` times the size. Latent-sized previews are tiny; linear interpolation makes them pleasant to look at.
std::vector<std::uint8_t> enlarged(const sd_image_t& from, std::uint32_t factor);

}  // namespace pixelfleet::engine::sdcpp
