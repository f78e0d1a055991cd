// Options: what the server is told when it starts. Limits have the defaults of a desk; tests shorten some.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/page.h"

namespace pixelfleet::http {

// A JPEG of the PNG, at most `max_side` pixels a side. Called on the reader pool.
using MakeThumbnail = std::function<Result<std::string>(const std::filesystem::path& png, int max_side)>;

// What a server does that other machines can reach but that has no token.
enum class WithoutToken { refuse_to_start, serve_everyone };

struct Options {
  std::string bind_address = "127.0.0.1";
  std::uint16_t port = 7865;               // 0: any free one
  std::filesystem::path data_directory;    // uploads/, thumbnails/ and session_secret lie in it
  std::filesystem::path output_directory;  // published pictures
  std::vector<std::string> allowed_hosts;  // names besides 127.0.0.1, localhost and [::1]
  std::string token;                       // empty: nobody is asked for one
  WithoutToken without_token = WithoutToken::refuse_to_start;
  std::string version;
  std::string instance_id;
  MakeThumbnail make_thumbnail;  // empty: media's, kept below data_directory/thumbnails
  std::span<const PageFile> page = page_files();
  std::string_view openapi = openapi_document();

  std::size_t max_connections = 0;  // 0: what the limit of open files leaves
  std::size_t max_event_clients = 4096;
  std::size_t event_queue_bytes = 256u << 10;
  int reader_threads = 3;
  std::chrono::milliseconds header_deadline{10'000};
  std::chrono::milliseconds body_deadline{60'000};
  std::chrono::milliseconds idle_deadline{75'000};
  std::chrono::milliseconds answer_deadline{120'000};
  std::chrono::milliseconds heartbeat{15'000};
};

}  // namespace pixelfleet::http
