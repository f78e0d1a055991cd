// The files that are part of the program: the built web page and the API document.
//
// The table is generated at build time from web/dist (cmake/embed_page.cmake); without a built page it holds none and
// the server shows a plain page that says how to build it.
#pragma once

#include <span>
#include <string_view>

namespace pixelfleet::http {

struct PageFile {
  std::string_view path;  // "/index.html", "/assets/index-1a2b3c.js"
  std::string_view media_type;
  std::string_view bytes;
  std::string_view etag;  // with its quotes
};

std::span<const PageFile> page_files();
std::string_view openapi_document();

// Shown at / when there is no /index.html.
PageFile unbuilt_page();

const PageFile* find_page_file(std::span<const PageFile> files, std::string_view path);

}  // namespace pixelfleet::http
