// Shared by this folder's tests: a scratch directory and small checkpoint files made on the spot.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "base/json_full.h"

namespace pixelfleet::catalog {

class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "pixelfleet-catalog-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline void write_file(const std::string& path, std::string_view bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline std::string little_endian(std::uint64_t value, int bytes) {
  std::string result;
  for (int i = 0; i < bytes; ++i) result.push_back(static_cast<char>((value >> (8 * i)) & 255u));
  return result;
}

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

inline std::string safetensors_with_header(const std::string& header, std::size_t data_bytes = 0) {
  return little_endian(header.size(), 8) + header + std::string(data_bytes, '\0');
}

// F16 tensors of these shapes, one after another.
inline std::string safetensors(const Shapes& shapes) {
  Json header = Json::object();
  std::int64_t offset = 0;
  for (const auto& [name, shape] : shapes) {
    std::int64_t bytes = 2;
    for (const std::int64_t d : shape) bytes *= d;
    header[name] = {{"dtype", "F16"}, {"shape", shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  return safetensors_with_header(header.dump(), static_cast<std::size_t>(offset));
}

// The fewest tensors by which a family is told.
inline Shapes sd1_shapes() {
  return {{"model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", {4, 768}},
          {"cond_stage_model.transformer.text_model.final_layer_norm.weight", {4}},
          {"first_stage_model.decoder.conv_in.weight", {4, 4, 3, 3}}};
}
inline Shapes sdxl_shapes() {
  return {{"model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight", {4, 2048}},
          {"conditioner.embedders.0.transformer.text_model.final_layer_norm.weight", {4}},
          {"conditioner.embedders.1.model.ln_final.weight", {4}},
          {"first_stage_model.decoder.conv_in.weight", {4, 4, 3, 3}}};
}
inline Shapes without(Shapes shapes, const std::string& prefix) {
  std::erase_if(shapes, [&](const auto& entry) { return entry.first.starts_with(prefix); });
  return shapes;
}
inline Shapes taesd_shapes() {
  return {{"decoder.layers.0.weight", {4, 4, 3, 3}}, {"encoder.layers.0.weight", {4, 3, 3, 3}}};
}

}  // namespace pixelfleet::catalog
