// FakeDriver: makes this process and its children use the fake NVML (fake_nvml.c) with one kind of trouble.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace pixelfleet::gpu {

inline std::string this_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

class FakeDriver {
 public:
  // `trouble`: a value of FAKE_NVML, or null for none.
  explicit FakeDriver(const char* trouble) {
    const auto bin = std::filesystem::path(this_program()).parent_path();
    library_ = (bin.parent_path() / "fake_nvml/libnvidia-ml.so.1").string();
    ::setenv("PIXELFLEET_NVML_LIBRARY", library_.c_str(), 1);
    if (trouble != nullptr) ::setenv("FAKE_NVML", trouble, 1);
  }
  ~FakeDriver() {
    ::unsetenv("PIXELFLEET_NVML_LIBRARY");
    ::unsetenv("FAKE_NVML");
  }
  FakeDriver(const FakeDriver&) = delete;
  FakeDriver& operator=(const FakeDriver&) = delete;
  const std::string& library() const { return library_; }

 private:
  std::string library_;
};

}  // namespace pixelfleet::gpu
