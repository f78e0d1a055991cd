#include "catalog/tensor_index.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/format.h"
#include "catalog/header_formats.h"
#include "catalog/header_reader.h"

namespace pixelfleet::catalog {
namespace {

constexpr std::string_view kUseInstead = "; use a .safetensors or .gguf file of the model";

struct Refused {
  std::string_view magic;
  std::string_view what;
};
constexpr std::array kRefused = {
    Refused{"PK\x03\x04", "a zip archive or PyTorch checkpoint, which could run code when it is opened"},
    Refused{"\x80\x02", "a Python pickle, which could run code when it is opened"},
    Refused{"\x80\x03", "a Python pickle, which could run code when it is opened"},
    Refused{"\x80\x04", "a Python pickle, which could run code when it is opened"},
    Refused{"\x80\x05", "a Python pickle, which could run code when it is opened"},
    Refused{"\x1F\x8B", "a gzip archive"},
    Refused{"7z\xBC\xAF", "a 7z archive"},
    Refused{"\xFD"
            "7zXZ",
            "an xz archive"},
    Refused{"\x28\xB5\x2F\xFD", "a zstd archive"},
    Refused{"<!DOCTYPE", "a web page, as a failed download leaves it"},
    Refused{"<html", "a web page, as a failed download leaves it"},
    Refused{"version https://git-lfs", "a Git LFS pointer, not the file itself"},
    Refused{"\x7F"
            "ELF",
            "a program"},
};

}  // namespace

Result<TensorIndex> read_tensor_index(const std::string& path) {
  auto opened = HeaderReader::open(path);
  if (!opened) return fail(opened.error());
  HeaderReader& reader = *opened;
  if (reader.file_bytes() == 0) return fail(ErrorCode::corrupt, path + " is empty");
  const auto start = reader.bytes(std::min<std::int64_t>(32, reader.file_bytes()));
  if (!start) return fail(ErrorCode::corrupt, path + " cannot be read");

  if (start->starts_with("GGUF")) return with_path(path, read_gguf(path));
  for (const Refused& refused : kRefused) {
    if (start->starts_with(refused.magic)) {
      return fail(ErrorCode::invalid_argument, format("{} is {}{}", path, refused.what, kUseInstead));
    }
  }
  // A safetensors file has no magic: eight bytes of header length, then a JSON object.
  if (start->size() >= 9 && (*start)[8] == '{') return with_path(path, read_safetensors(path));
  if (start->size() > 8 && path.ends_with(".safetensors")) return with_path(path, read_safetensors(path));
  return fail(ErrorCode::invalid_argument,
              format("{} is neither safetensors nor GGUF by its first bytes{}", path, kUseInstead));
}

}  // namespace pixelfleet::catalog
