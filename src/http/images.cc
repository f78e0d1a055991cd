// Images: descriptions from the store, pictures from the output directory, thumbnails.
#include <limits>

#include "base/format.h"
#include "base/json_full.h"
#include "domain/job_json.h"
#include "http/etag.h"
#include "http/handlers.h"
#include "http/problem.h"
#include "http/query.h"
#include "http/safe_file.h"

namespace pixelfleet::http {
namespace {

constexpr int kThumbnailSide = 320;

// Published pictures never change; `private`, because a proxy shall not hand them to others.
constexpr std::string_view kForEver = "private, max-age=31536000, immutable";

Result<Image> published_image(const Request& request, const Context& context) {
  Result<Image> image = context.reader.image(ImageId(request.id));
  if (image && image->state != ImageState::published) {
    return fail(ErrorCode::not_found,
                format("image {} of job {} has not been made yet", image->id.value, image->job_id.value));
  }
  return image;
}

std::string etag_of(const Image& image, std::string_view kind) {
  const std::int64_t published_ms = image.published_at ? to_unix_ms(*image.published_at) : 0;
  return format("\"{}{}-{}-{}\"", kind, image.id.value, image.bytes, published_ms);
}

Pairs picture_headers(std::string_view media_type, const std::string& etag) {
  return {{"Content-Type", std::string(media_type)}, {"Cache-Control", std::string(kForEver)}, {"ETag", etag}};
}

Result<OpenFile> open_picture(const Image& image, const Context& context) {
  Result<OpenFile> file = open_beneath(context.options.output_directory, image.path);
  if (!file && file.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, format("image {} was published as '{}', but that file is not there any more",
                                             image.id.value, image.path));
  }
  return file;
}

}  // namespace

void list_images(const Request& request, const Context& context, Responder respond) {
  constexpr std::int64_t kMaxId = std::numeric_limits<std::int64_t>::max();
  QueryReader query(request);
  control::ImageQuery wanted;
  const std::size_t page = query.page_size();
  wanted.limit = page + 1;
  if (const auto job = query.integer("job_id", 1, kMaxId)) wanted.job = JobId(*job);
  if (const auto after = query.integer("after", 1, kMaxId)) wanted.after = ImageId(*after);
  const Result<> valid = query.finish({"job_id", "limit", "after"});
  if (!valid) return respond(problem(valid.error(), request.request_id));

  const Result<std::vector<Image>> images = context.reader.images(wanted);
  if (!images) return respond(problem(images.error(), request.request_id));
  Json array = Json::array();
  for (std::size_t i = 0; i < std::min(page, images->size()); ++i) array.push_back(to_json((*images)[i]));
  const Json next = images->size() > page ? Json((*images)[page - 1].id.value) : Json();
  respond(json_response(200, {{"images", std::move(array)}, {"next_after", next}}));
}

void get_image(const Request& request, const Context& context, Responder respond) {
  const Result<Image> image = context.reader.image(ImageId(request.id));
  respond(image ? json_response(200, to_json(*image)) : problem(image.error(), request.request_id));
}

void get_image_file(const Request& request, const Context& context, Responder respond) {
  const Result<Image> image = published_image(request, context);
  if (!image) return respond(problem(image.error(), request.request_id));
  const std::string etag = etag_of(*image, "");
  if (etag_matches(request, etag)) return respond(not_modified(etag, kForEver));
  Result<OpenFile> file = open_picture(*image, context);
  if (!file) return respond(problem(file.error(), request.request_id));
  Response response;
  response.headers = picture_headers("image/png", etag);
  response.file = FileBody{std::move(file->fd), file->bytes};
  respond(std::move(response));
}

void get_image_thumbnail(const Request& request, const Context& context, Responder respond) {
  const Result<Image> image = published_image(request, context);
  if (!image) return respond(problem(image.error(), request.request_id));
  const std::string etag = etag_of(*image, "t");
  if (etag_matches(request, etag)) return respond(not_modified(etag, kForEver));
  const Result<OpenFile> picture = open_picture(*image, context);
  if (!picture) return respond(problem(picture.error(), request.request_id));
  Result<std::string> jpeg =
      context.options.make_thumbnail(context.options.output_directory / image->path, kThumbnailSide);
  if (!jpeg) return respond(problem(jpeg.error(), request.request_id));
  Response response;
  response.headers = picture_headers("image/jpeg", etag);
  response.body = std::move(*jpeg);
  respond(std::move(response));
}

}  // namespace pixelfleet::http
