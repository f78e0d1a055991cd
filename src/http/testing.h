// For tests: a scratch directory and a running server over the fakes.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "http/server.h"
#include "http/testing_client.h"
#include "http/testing_fakes.h"

namespace pixelfleet::http::testing {

// A temporary directory, removed with everything in it.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pixelfleet-http-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& relative, const std::string& bytes) const {
    const std::filesystem::path file = path_ / relative;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
    return file;
  }

 private:
  std::filesystem::path path_;
};

// A server on a free port over the fakes. `adjust` may change the options before it starts.
struct Running {
  explicit Running(const std::function<void(Options&)>& adjust = nullptr) : service(reader) {
    Options options;
    options.port = 0;
    options.data_directory = scratch.path() / "data";
    options.output_directory = scratch.path() / "output";
    options.version = "0.1.0";
    options.instance_id = "test";
    std::filesystem::create_directories(options.data_directory);
    std::filesystem::create_directories(options.output_directory);
    if (adjust) adjust(options);
    Result<std::unique_ptr<Server>> started = Server::start(options, service, reader);
    EXPECT_TRUE(started) << (started ? "" : started.error().message);
    if (started) server = std::move(*started);
  }
  int port() const { return server->port(); }
  Answer get(const std::string& target, const std::string& headers = "") {
    return Client(port()).request("GET", target, headers);
  }

  ScratchDirectory scratch;
  FakeReader reader;
  FakeService service;
  std::unique_ptr<Server> server;
};

}  // namespace pixelfleet::http::testing
