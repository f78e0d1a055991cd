#include "engine/model_file_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace pixelfleet::engine {
namespace {

using ::testing::HasSubstr;

template <class Number>
std::string bytes_of(Number number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

class ModelFileCheck : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "model_file_XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& content, const std::string& name = "model.safetensors") {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  static std::string safetensors(const std::string& header, std::size_t data_bytes) {
    return bytes_of(std::uint64_t{header.size()}) + header + std::string(data_bytes, '\1');
  }
  static std::string one_tensor(const std::string& entry) { return R"({"a":)" + entry + "}"; }

  static std::string gguf_string(const std::string& text) { return bytes_of(std::uint64_t{text.size()}) + text; }
  // One tensor of F32 with `side` numbers, at `offset`; the data follows at the next multiple of `alignment`.
  static std::string gguf(std::uint64_t side, std::uint64_t offset, std::size_t data_bytes,
                          std::uint32_t alignment = 32, std::uint32_t type = 0, std::uint32_t dimensions = 1) {
    std::string text = "GGUF" + bytes_of(std::uint32_t{3}) + bytes_of(std::uint64_t{1}) + bytes_of(std::uint64_t{2});
    text += gguf_string("general.alignment") + bytes_of(std::uint32_t{4}) + bytes_of(alignment);
    text += gguf_string("names") + bytes_of(std::uint32_t{9}) + bytes_of(std::uint32_t{8}) +
            bytes_of(std::uint64_t{2}) + gguf_string("x") + gguf_string("y");
    text += gguf_string("weight") + bytes_of(dimensions);
    for (std::uint32_t i = 0; i < std::min(dimensions, 16u); ++i) text += bytes_of(i == 0 ? side : std::uint64_t{1});
    text += bytes_of(type) + bytes_of(offset);
    while (alignment != 0 && text.size() % alignment != 0) text += '\0';
    return text + std::string(data_bytes, '\2');
  }

  void expect_refused(const std::string& content, ErrorCode code, const std::string& part) {
    const std::string path = write(content);
    const Result<ModelFile> file = check_model_file(path);
    ASSERT_FALSE(file) << "accepted, expected: " << part;
    EXPECT_EQ(file.error().code, code) << file.error().message;
    EXPECT_THAT(file.error().message, HasSubstr(part));
    EXPECT_THAT(file.error().message, HasSubstr(path));
  }
  void expect_corrupt(const std::string& content, const std::string& part) {
    expect_refused(content, ErrorCode::corrupt, part);
  }

  std::string directory_;
};

TEST_F(ModelFileCheck, AcceptsASafetensorsFile) {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},)"
      R"("b":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[12,16]},"scalar":{"dtype":"F32","shape":[],"data_offsets":[16,20]}})";
  const Result<ModelFile> file = check_model_file(write(safetensors(header, 20)));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->format, ModelFormat::safetensors);
  EXPECT_EQ(file->tensors, 3u);
  EXPECT_EQ(file->bytes, 8 + header.size() + 20);
}

TEST_F(ModelFileCheck, AcceptsAGgufFile) {
  const Result<ModelFile> file = check_model_file(write(gguf(8, 0, 32)));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->format, ModelFormat::gguf);
  EXPECT_EQ(file->tensors, 1u);
}

TEST_F(ModelFileCheck, FollowsALinkToAModelAndRefusesOneToSomethingElse) {
  const std::string path = write(safetensors(one_tensor(R"({"dtype":"I8","shape":[4],"data_offsets":[0,4]})"), 4));
  std::filesystem::create_symlink(path, directory_ + "/link.safetensors");
  EXPECT_TRUE(check_model_file(directory_ + "/link.safetensors"));
  std::filesystem::create_symlink("/etc/passwd", directory_ + "/other.safetensors");
  EXPECT_FALSE(check_model_file(directory_ + "/other.safetensors"));
}

TEST_F(ModelFileCheck, TellsAMissingFileFromADirectoryAndAPipe) {
  EXPECT_EQ(check_model_file(directory_ + "/none").error().code, ErrorCode::not_found);
  EXPECT_THAT(check_model_file(directory_).error().message, HasSubstr("is a directory"));
  ASSERT_EQ(mkfifo((directory_ + "/pipe").c_str(), 0600), 0);
  EXPECT_THAT(check_model_file(directory_ + "/pipe").error().message, HasSubstr("not an ordinary file"));
  EXPECT_THAT(check_model_file("/dev/zero").error().message, HasSubstr("not an ordinary file"));
}

TEST_F(ModelFileCheck, RefusesOtherKindsByTheirContent) {
  const auto other = [&](const std::string& content, const std::string& part) {
    expect_refused(content, ErrorCode::invalid_argument, part);
  };
  other(std::string("PK\x03\x04") + std::string(100, '\0'), "zip archive");
  other(std::string("\x80\x02}q\x01.", 6) + std::string(100, 'x'), "Python pickle");
  other(std::string("\x80\x04\x95", 3) + std::string(100, 'x'), "Python pickle");
  other("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer");
  other("<!DOCTYPE html><html>Sign in</html>", "web page");
  other("\x1f\x8b\x08 gzip", "archive");
  other(std::string(257, 'a') + "ustar" + std::string(250, 'a'), "archive");
  other("\x89PNG\r\n\x1a\n", "picture");
  other("just some text that is long enough", "neither a safetensors nor a GGUF");
  other("short", "neither a safetensors nor a GGUF");
  expect_corrupt("", "empty");
}

TEST_F(ModelFileCheck, RefusesAHeaderLengthThatCannotBe) {
  const std::string rest = "{" + std::string(64, ' ');
  expect_corrupt(bytes_of(std::uint64_t{0}) + rest, "JSON");
  expect_corrupt(bytes_of(std::uint64_t{1000}) + rest, "truncated");
  expect_corrupt(bytes_of(std::uint64_t{1} << 63) + rest, "allows");
  expect_corrupt(bytes_of(std::uint64_t{100'000'001}) + rest, "allows");
  expect_corrupt(bytes_of(std::uint64_t{0} - 1) + rest, "allows");
}

TEST_F(ModelFileCheck, RefusesBrokenSafetensorsEntries) {
  const auto entry = [&](const std::string& text, const std::string& part) {
    expect_corrupt(safetensors(one_tensor(text), 16), part);
  };
  entry("3", "not described by an object");
  entry(R"({"shape":[4],"data_offsets":[0,4]})", "no dtype");
  entry(R"({"dtype":7,"shape":[4],"data_offsets":[0,4]})", "no dtype");
  entry(R"({"dtype":"Q9","shape":[4],"data_offsets":[0,4]})", "unknown dtype");
  entry(R"({"dtype":"I8","shape":"4","data_offsets":[0,4]})", "no shape");
  entry(R"({"dtype":"I8","shape":[-4],"data_offsets":[0,4]})", "whole numbers");
  entry(R"({"dtype":"I8","shape":[4.5],"data_offsets":[0,4]})", "whole numbers");
  entry(R"({"dtype":"I8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]})", "8 dimensions");
  entry(R"({"dtype":"I8","shape":[4]})", "no data_offsets");
  entry(R"({"dtype":"I8","shape":[4],"data_offsets":[0]})", "no data_offsets");
  entry(R"({"dtype":"I8","shape":[4],"data_offsets":[4,0]})", "another number of bytes");
  entry(R"({"dtype":"F16","shape":[4],"data_offsets":[0,4]})", "another number of bytes");
  entry(R"({"dtype":"I8","shape":[20],"data_offsets":[0,20]})", "truncated");
  entry(R"({"dtype":"F32","shape":[4194305,4194305,211106198978564],"data_offsets":[0,4]})", "overflows");
}

TEST_F(ModelFileCheck, RefusesOverlapsBadNamesAndEmptyHeaders) {
  expect_corrupt(safetensors(R"({"a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]},)"
                             R"("b":{"dtype":"I8","shape":[4],"data_offsets":[3,7]}})",
                             8),
                 "overlap");
  expect_corrupt(safetensors(R"({"a\u0000b":{"dtype":"I8","shape":[4],"data_offsets":[0,4]}})", 4),
                 "control characters");
  expect_corrupt(
      safetensors("{\"" + std::string(2'000, 'n') + R"(":{"dtype":"I8","shape":[4],"data_offsets":[0,4]}})", 4),
      "1024 bytes");
  expect_corrupt(safetensors("{}", 4), "no tensor");
  expect_corrupt(safetensors("{\"a\":", 4), "JSON");
  expect_corrupt(safetensors("{\"a\":" + std::string(5000, '['), 4), "deeper");
}

TEST_F(ModelFileCheck, RefusesMoreTensorsThanAnyModelHas) {
  std::string header = "{";
  for (int i = 0; i < 100'001; ++i) header += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":0";
  expect_corrupt(safetensors(header + "}", 4), "lists 100001 tensors");
}

TEST_F(ModelFileCheck, RefusesATruncatedFileOfEitherKind) {
  expect_corrupt(gguf(8, 0, 20), "truncated");
  const std::string whole = gguf(8, 0, 32);
  for (const std::size_t size : {6u, 20u, 30u, 60u, 100u, 140u}) {
    ASSERT_LT(size, whole.size());
    expect_corrupt(whole.substr(0, size), "truncated");
  }
}

TEST_F(ModelFileCheck, RefusesGgufNumbersThatCannotBe) {
  const auto head = [](std::uint32_t version, std::uint64_t tensors, std::uint64_t values) {
    return "GGUF" + bytes_of(version) + bytes_of(tensors) + bytes_of(values) + std::string(64, '\xff');
  };
  expect_corrupt(head(0, 1, 1), "version is 0");
  expect_corrupt(head(99, 1, 1), "version is 99");
  expect_corrupt(head(3, std::uint64_t{1} << 60, 1), "tensors");
  expect_corrupt(head(3, 0, 1), "tensors");
  expect_corrupt(head(3, 1, std::uint64_t{1} << 60), "metadata values");
  expect_corrupt(head(3, 1, 1), "claims");  // a key of 2^64-1 bytes
  expect_corrupt(gguf(8, 0, 64, 0), "alignment");
  expect_corrupt(gguf(8, 0, 64, 3), "alignment");
  expect_corrupt(gguf(8, 7, 64), "not aligned");
  expect_corrupt(gguf(8, std::uint64_t{1} << 62, 64), "truncated");
  expect_corrupt(gguf(8, ~std::uint64_t{31}, 64), "overflows");
  expect_corrupt(gguf(std::uint64_t{1} << 63, 0, 64), "overflows");
  expect_corrupt(gguf(8, 0, 64, 32, 999), "unknown type");
  expect_corrupt(gguf(8, 0, 64, 32, 0, 0), "dimensions");
  expect_corrupt(gguf(8, 0, 64, 32, 0, 1u << 31), "dimensions");
}

}  // namespace
}  // namespace pixelfleet::engine
