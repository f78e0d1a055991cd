#include "catalog/tensor_index.h"

#include <sys/stat.h>

#include "base/format.h"
#include "catalog/testing.h"

namespace pixelfleet::catalog {
namespace {

class Index : public testing::Test {
 protected:
  Result<TensorIndex> read(std::string_view bytes, const std::string& name = "a.safetensors") {
    write_file(scratch_ / name, bytes);
    return read_tensor_index(scratch_ / name);
  }
  // Reads, expects a refusal, and returns "code: message".
  std::string refusal(std::string_view bytes, const std::string& name = "a.safetensors") {
    const auto index = read(bytes, name);
    if (index) return "accepted";
    EXPECT_NE(index.error().message.find(scratch_ / name), std::string::npos) << index.error().message;
    return std::string(pixelfleet::name(index.error().code)) + ": " + index.error().message;
  }
  std::string header_refusal(const std::string& header, std::size_t data_bytes = 64) {
    return refusal(safetensors_with_header(header, data_bytes));
  }

  const ScratchDirectory scratch_;
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(Index, ReadsNamesAndShapesOfSafetensors) {
  const auto index = read(safetensors(sd1_shapes()));
  ASSERT_TRUE(index) << index.error().message;
  EXPECT_EQ(index->tensors.size(), 3u);
  EXPECT_EQ(index->tensors.at("first_stage_model.decoder.conv_in.weight").shape,
            (std::vector<std::int64_t>{4, 4, 3, 3}));
  EXPECT_EQ(index->file_bytes, static_cast<std::int64_t>(std::filesystem::file_size(scratch_ / "a.safetensors")));
}

TEST_F(Index, AcceptsTensorsThatShareBytesAndMetadata) {
  EXPECT_TRUE(read(
      safetensors_with_header(R"({"__metadata__":{"a":"<b>"},"x":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]},)"
                              R"("y":{"dtype":"F8_E4M3","shape":[2,4],"data_offsets":[0,8]}})",
                              8)));
}

TEST_F(Index, ChecksTheDeclaredHeaderLengthAgainstLimitsAndFile) {
  EXPECT_HAS(refusal(little_endian(0, 8) + "{}", "a.safetensors"), "corrupt");
  EXPECT_HAS(refusal(little_endian(1000, 8) + "{}"), "cut off");
  EXPECT_HAS(refusal(little_endian(std::uint64_t{1} << 63, 8) + "{}"), "at most");
  EXPECT_HAS(refusal(little_endian((100u << 20) + 1, 8) + "{}"), "at most");
  EXPECT_HAS(refusal(little_endian(3, 4) + "{}"), "neither safetensors nor GGUF");
  EXPECT_HAS(refusal(""), "empty");
}

TEST_F(Index, RefusesBrokenHeaders) {
  EXPECT_HAS(header_refusal("{"), "corrupt");
  EXPECT_HAS(header_refusal("[1]"), "not a JSON object");
  EXPECT_HAS(header_refusal("{}"), "no tensors");
  EXPECT_HAS(header_refusal(R"({"a":7})"), "lacks dtype");
  EXPECT_HAS(header_refusal(R"({"a":{"shape":[1],"data_offsets":[0,2]}})"), "lacks dtype");
  EXPECT_HAS(header_refusal(R"({"a":{"dtype":"X9","shape":[1],"data_offsets":[0,2]}})"), "unknown dtype");
  EXPECT_HAS(header_refusal(R"({"a":{"dtype":"F16","shape":"1","data_offsets":[0,2]}})"), "broken shape");
  EXPECT_HAS(header_refusal(R"({"a":{"dtype":"F16","shape":[-1],"data_offsets":[0,2]}})"), "broken shape");
  EXPECT_HAS(header_refusal(R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0]}})"), "data_offsets");
  EXPECT_HAS(header_refusal(R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[4,2]}})"), "data_offsets");
  EXPECT_HAS(header_refusal(R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,2]}})"), "takes 4 bytes");
  EXPECT_HAS(header_refusal(R"({"a":{"dtype":"F16","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,2]}})"),
             "broken shape");
  EXPECT_HAS(header_refusal(R"({"a":{"dtype":"F16","shape":[64],"data_offsets":[0,128]}})"), "cut off");
}

TEST_F(Index, RefusesAShapeWhoseProductOverflows) {
  EXPECT_HAS(header_refusal(R"({"a":{"dtype":"F32","shape":[4194305,4194305,211106198978564],"data_offsets":[0,4]}})"),
             "overflows");
}

TEST_F(Index, RefusesNamesThatAreNoNames) {
  EXPECT_HAS(header_refusal(R"({"a\u0000b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})"), "name");
  EXPECT_HAS(header_refusal(R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})"), "name");
  EXPECT_HAS(
      header_refusal(R"({")" + std::string(1 << 20, 'x') + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})"),
      "name");
}

TEST_F(Index, RefusesAFloodOfTensors) {
  std::string header = "{";
  for (int i = 0; i < 100'000; ++i) {
    header += format(R"({}"t{}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", i == 0 ? "" : ",", i);
  }
  EXPECT_HAS(header_refusal(header + "}"), "corrupt");
}

TEST_F(Index, NamesWhatAFileIsInsteadOfACheckpoint) {
  EXPECT_HAS(refusal("PK\x03\x04 archive/data.pkl", "a.SafeTensors"), "run code");
  EXPECT_HAS(refusal(std::string("\x80\x02}q\x00.", 7) + "padding", "a.gguf"), "pickle");
  EXPECT_HAS(refusal("\x1F\x8B gzip", "a.safetensors"), "gzip");
  EXPECT_HAS(refusal("<!DOCTYPE html><title>404", "a.safetensors"), "web page");
  EXPECT_HAS(refusal("version https://git-lfs.github.com/spec/v1\n", "a.safetensors"), "Git LFS pointer");
  EXPECT_HAS(refusal("random words, no model at all", "a.bin"), ".safetensors or .gguf");
}

TEST_F(Index, OpensRegularFilesOnly) {
  ASSERT_EQ(::mkfifo((scratch_ / "fifo.safetensors").c_str(), 0600), 0);
  EXPECT_EQ(read_tensor_index(scratch_ / "fifo.safetensors").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(read_tensor_index(scratch_.path()).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(read_tensor_index("/dev/zero").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(read_tensor_index(scratch_ / "none.safetensors").error().code, ErrorCode::not_found);
}

TEST_F(Index, SurvivesEveryTruncation) {
  const std::string whole = safetensors({{"a", {2, 3}}, {"b", {5}}});
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(read(std::string_view(whole).substr(0, length))) << length;
  }
}

struct Gguf {
  std::uint32_t version = 3;
  std::uint64_t tensors = 1;
  std::uint64_t keys = 1;
  std::uint32_t alignment = 32;
  std::string name = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight";
  std::uint32_t dimensions = 2;
  std::vector<std::uint64_t> sizes = {768, 4};  // innermost first
  std::uint32_t type = 1;                       // F16
  std::uint64_t offset = 0;
  std::size_t data_bytes = 768 * 4 * 2;

  std::string bytes() const {
    const auto text = [](const std::string& s) { return little_endian(s.size(), 8) + s; };
    std::string out = "GGUF" + little_endian(version, 4) + little_endian(tensors, 8) + little_endian(keys, 8);
    out += text("general.alignment") + little_endian(4, 4) + little_endian(alignment, 4);
    out += text(name) + little_endian(dimensions, 4);
    for (const std::uint64_t size : sizes) out += little_endian(size, 8);
    out += little_endian(type, 4) + little_endian(offset, 8);
    out.resize((out.size() + 31) / 32 * 32, '\0');
    return out + std::string(data_bytes, '\0');
  }
};

TEST_F(Index, ReadsGgufWithTheOutermostDimensionFirst) {
  const auto index = read(Gguf{}.bytes(), "a.gguf");
  ASSERT_TRUE(index) << index.error().message;
  EXPECT_EQ(index->format, FileFormat::gguf);
  EXPECT_EQ(index->tensors.begin()->second.shape, (std::vector<std::int64_t>{4, 768}));
}

TEST_F(Index, ChecksEveryLengthOfAGgufHeader) {
  const auto refused = [&](const Gguf& file) { return refusal(file.bytes(), "a.gguf"); };
  EXPECT_HAS(refused({.version = 0}), "version");
  EXPECT_HAS(refused({.version = 99}), "version");
  EXPECT_HAS(refused({.tensors = std::uint64_t{1} << 60}), "tensors");
  EXPECT_HAS(refused({.tensors = 2}), "corrupt");
  EXPECT_HAS(refused({.keys = std::uint64_t{1} << 60}), "keys");
  EXPECT_HAS(refused({.keys = 2}), "corrupt");
  EXPECT_HAS(refused({.alignment = 0}), "alignment");
  EXPECT_HAS(refused({.alignment = 3}), "alignment");
  EXPECT_HAS(refused({.dimensions = 0x80000000u}), "dimensions");
  EXPECT_HAS(refused({.sizes = {std::uint64_t{1} << 40, std::uint64_t{1} << 40}}), "shape");
  EXPECT_HAS(refused({.sizes = {~std::uint64_t{0}, 1}}), "overflows");
  EXPECT_HAS(refused({.type = 4242}), "unknown type");
  EXPECT_HAS(refused({.sizes = {7, 1}, .type = 2}), "does not fit its type");
  EXPECT_HAS(refused({.offset = std::uint64_t{1} << 40}), "cut off");
  EXPECT_HAS(refused({.offset = 1}), "broken offset");
  EXPECT_HAS(refused({.data_bytes = 100}), "cut off");
  std::string long_string = Gguf{}.bytes();
  long_string.replace(24, 8, little_endian(std::uint64_t{1} << 60, 8));  // the first key's length
  EXPECT_HAS(refusal(long_string, "a.gguf"), "cut off");
}

}  // namespace
}  // namespace pixelfleet::catalog
