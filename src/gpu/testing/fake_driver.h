// FakeDriver: makes this process and its children use the scripted driver (tests/fake_nvml) with a script of their own.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace pixelfleet::gpu {

inline std::string this_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

class FakeDriver {
 public:
  explicit FakeDriver(const std::string& script) {
    const auto bin = std::filesystem::path(this_program()).parent_path();
    library_ = (bin.parent_path() / "fake_nvml/libnvidia-ml.so.1").string();
    std::string folder = (std::filesystem::temp_directory_path() / "fake-driver-XXXXXX").string();
    folder_ = ::mkdtemp(folder.data()) == nullptr ? "." : folder;
    file_ = folder_ / "script";
    says(script);
    ::setenv("PIXELFLEET_NVML_LIBRARY", library_.c_str(), 1);
    ::setenv("FAKE_NVML_SCRIPT", file_.c_str(), 1);
  }
  ~FakeDriver() {
    ::unsetenv("PIXELFLEET_NVML_LIBRARY");
    ::unsetenv("FAKE_NVML_SCRIPT");
    std::error_code ignored;
    if (folder_ != ".") std::filesystem::remove_all(folder_, ignored);
  }
  FakeDriver(const FakeDriver&) = delete;
  FakeDriver& operator=(const FakeDriver&) = delete;

  // From the next call on. The old file or the new one is read, never a half of it.
  void says(const std::string& script) {
    const std::string next = file_.string() + ".next";
    std::ofstream(next) << script;
    std::filesystem::rename(next, file_);
  }
  const std::string& library() const { return library_; }

 private:
  std::string library_;
  std::filesystem::path folder_;
  std::filesystem::path file_;
};

}  // namespace pixelfleet::gpu
