// Uploads: a picture becomes a durable file, then a row; jobs name it by its id.
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "base/format.h"
#include "base/json_full.h"
#include "http/handlers.h"
#include "http/problem.h"
#include "media/reader.h"

namespace pixelfleet::http {
namespace {

// The headers may lie anywhere in the file (a camera's JPEG holds a preview before them), so it is mapped, not read.
Result<media::ImageInfo> probe_file(const TemporaryFile& file) {
  const std::size_t bytes = static_cast<std::size_t>(file.bytes());
  if (bytes == 0) return media::probe_image({});
  void* mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file.fd(), 0);
  if (mapped == MAP_FAILED) return fail(system_error("cannot read the upload", errno));
  Result<media::ImageInfo> info = media::probe_image({static_cast<const char*>(mapped), bytes});
  ::munmap(mapped, bytes);
  return info;
}

}  // namespace

void add_upload(const Request& request, const Context& context, Responder respond) {
  TemporaryFile& file = *request.file;
  const Result<media::ImageInfo> info = probe_file(file);
  if (!info) {
    file.discard();
    const bool wrong_type = info.error().code == ErrorCode::invalid_argument;
    return respond(problem(wrong_type ? 415 : status_of(info.error().code), info.error(), request.request_id));
  }
  const std::string name = random_hex(16) + (info->media_type == "image/png" ? ".png" : ".jpg");
  const Result<> published = file.publish(name);
  if (!published) {
    file.discard();
    return respond(problem(published.error(), request.request_id));
  }

  control::Upload upload;
  upload.file = "uploads/" + name;
  upload.media_type = info->media_type;
  upload.width = info->width;
  upload.height = info->height;
  upload.bytes = file.bytes();
  upload.created_at = context.clock.now();
  const std::string path = context.options.data_directory / upload.file;
  const std::string request_id = request.request_id;
  context.service.add_upload(upload, [respond, request_id, path](Result<control::Upload> added) {
    if (!added) {
      ::unlink(path.c_str());
      return respond(problem(added.error(), request_id));
    }
    respond(json_response(201, {{"id", added->id.value},
                                {"bytes", added->bytes},
                                {"width", added->width},
                                {"height", added->height},
                                {"media_type", added->media_type}}));
  });
}

}  // namespace pixelfleet::http
