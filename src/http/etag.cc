#include "http/etag.h"

#include <algorithm>

namespace pixelfleet::http {

bool etag_matches(const Request& request, std::string_view etag) {
  std::string_view rest = request.header("if-none-match");
  while (!rest.empty()) {
    std::string_view one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == etag || one == "*") return true;
  }
  return false;
}

Response not_modified(const std::string& etag, std::string_view cache_control) {
  Response response;
  response.status = 304;
  response.headers = {{"ETag", etag}, {"Cache-Control", std::string(cache_control)}};
  return response;
}

}  // namespace pixelfleet::http
