#include "engine/model_file_check.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/format.h"
#include "base/unique_fd.h"
#include "engine/model_file_internal.h"

namespace pixelfleet::engine {
namespace {

// ---------------------------------------------------

// What the file is instead of a model, or nothing.
std::optional<std::string> other_kind(std::string_view head) {
  const auto begins = [&](std::string_view magic) { return head.starts_with(magic); };
  constexpr std::string_view kConvert =
      "; it can run any code when it is opened, so it is never read. Get the model as "
      ".safetensors, or convert it in a place that you trust";
  if (begins("PK\x03\x04")) return "is a zip archive, as .ckpt and .pt files are" + std::string(kConvert);
  if (head.size() > 1 && head[0] == '\x80' && head[1] >= 1 && head[1] <= 5) {
    return "is a Python pickle" + std::string(kConvert);
  }
  if (begins("version https://git-lfs")) {
    return "is a Git LFS pointer, not the model itself. Fetch the file with git lfs pull, or download it again";
  }
  if (begins("<") || begins("\n<")) return "is a web page, not a model: the download failed. Download it again";
  if (begins("\x1f\x8b") || begins("7z\xbc\xaf") || begins("Rar!") ||
      (head.size() > 262 && head.substr(257, 5) == "ustar")) {
    return "is an archive. Unpack it and use the .safetensors or .gguf file inside";
  }
  if (begins("\x89PNG") || begins("\xff\xd8\xff")) return "is a picture, not a model";
  return std::nullopt;
}

Result<ModelFile> check_open_file(Reader& reader) {
  std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(reader.size(), 512)), '\0');
  Reader peek = reader;
  if (!peek.read(head.data(), head.size())) return fail(ErrorCode::corrupt, "could not be read");
  if (head.empty()) return fail(ErrorCode::corrupt, "is empty. Download it again");

  // A safetensors file begins with a length, whose bytes may look like anything.
  const bool may_be_safetensors = head.size() > 8 && head[8] == '{';
  if (!may_be_safetensors) {
    if (const std::optional<std::string> kind = other_kind(head)) return fail(ErrorCode::invalid_argument, *kind);
  }
  if (head.starts_with("GGUF")) {
    reader.skip(4);
    Result<std::uint64_t> tensors = check_gguf(reader);
    if (!tensors)
      return fail(ErrorCode::corrupt, "is a broken GGUF file: " + tensors.error().message + ". Get it again");
    return ModelFile{ModelFormat::gguf, reader.size(), *tensors};
  }
  std::uint64_t header_bytes = 0;
  if (!may_be_safetensors || !reader.read_number(header_bytes)) {
    return fail(ErrorCode::invalid_argument,
                "is neither a safetensors nor a GGUF file, which are the kinds that PixelFleet reads");
  }
  Result<std::uint64_t> tensors = check_safetensors(reader, header_bytes);
  if (!tensors) {
    return fail(ErrorCode::corrupt, "is a broken safetensors file: " + tensors.error().message + ". Get it again");
  }
  return ModelFile{ModelFormat::safetensors, reader.size(), *tensors};
}

}  // namespace

Result<ModelFile> check_model_file(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe must not make us wait
  if (!file) {
    const int reason = errno;
    return fail(system_error(format("the model file {}", path), reason));
  }
  struct stat status {};
  if (fstat(file.get(), &status) != 0) {
    const int reason = errno;
    return fail(system_error(format("the model file {}", path), reason));
  }
  if (S_ISDIR(status.st_mode)) {
    return fail(ErrorCode::invalid_argument,
                format("the model file {} is a directory. Name the .safetensors or .gguf file inside", path));
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::invalid_argument, format("the model file {} is not an ordinary file", path));
  }
  Reader reader(file.get(), static_cast<std::uint64_t>(status.st_size));
  Result<ModelFile> checked = check_open_file(reader);
  if (!checked) return fail(checked.error().code, format("the model file {} {}", path, checked.error().message));
  return checked;
}

std::string_view name(ModelFormat format) { return format == ModelFormat::gguf ? "gguf" : "safetensors"; }

}  // namespace pixelfleet::engine
