#include "http/page.h"

#include <algorithm>

namespace pixelfleet::http {

PageFile unbuilt_page() {
  return {"/index.html", "text/html; charset=utf-8",
          "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n<title>PixelFleet</title>\n"
          "<h1>PixelFleet is running</h1>\n"
          "<p>This program was built without its page. Build it with <code>./quickstart</code>, or with\n"
          "<code>npm --prefix web ci &amp;&amp; npm --prefix web run build</code> and build the program again.</p>\n"
          "<p>The API is there all the same: <a href=\"/api/v1/openapi.yaml\">/api/v1/openapi.yaml</a>,\n"
          "<a href=\"/api/v1/snapshot\">/api/v1/snapshot</a>.</p>\n</html>\n",
          "\"unbuilt\""};
}

const PageFile* find_page_file(std::span<const PageFile> files, std::string_view path) {
  const auto found = std::find_if(files.begin(), files.end(), [&](const PageFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

}  // namespace pixelfleet::http
