#include "cli/generate.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>

#include "base/format.h"
#include "base/json_full.h"
#include "domain/job_json.h"

namespace pixelfleet::cli {
namespace {

constexpr std::size_t kMaxPictureBytes = 32 << 20;  // the server's limit for an upload

// Follows the jobs of one submission and keeps the terminal informed: one live line on a terminal, plain lines in logs.
class Follower {
 public:
  Follower(const Client& client, const Json& submitted) : client_(client) {
    for (const Json& job : submitted.at("jobs")) {
      const auto id = job.at("id").get<std::int64_t>();
      open_.insert(id);
      total_ += job.at("count").get<int>();
    }
  }

  Result<> run() {
    return client_.follow([this](const std::string& type, const Json& data) {
      try {
        return on_event(type, data);
      } catch (const Json::exception&) {
        return Client::Follow::go_on;  // an event of another version of the server is no reason to stop
      }
    });
  }

  const std::vector<Json>& ended() const { return ended_; }

 private:
  Client::Follow on_event(const std::string& type, const Json& data) {
    if (type == "snapshot") {
      // Between submission and snapshot anything may have happened; from here on the stream tells everything.
      for (const std::int64_t id : std::set<std::int64_t>(open_)) {
        if (const auto job = client_.get(format("/api/v1/jobs/{}", id))) note_job(*job);
      }
    } else if (type == "job.updated") {
      note_job(data.at("job"));
    } else if (type == "image.published" && open_.count(data.at("job_id").get<std::int64_t>()) > 0) {
      ++published_;
      say(format("{} of {} images: {}", published_, total_, data.at("image").at("path").get<std::string>()));
    } else if (type == "job.progress" && open_.count(data.at("job_id").get<std::int64_t>()) > 0) {
      show_progress(data);
    } else if (type == "worker.loading" && live_) {
      std::fprintf(stderr, "\r\033[Kloading %s on %s: %d %%", data.at("model").get<std::string>().c_str(),
                   data.at("gpu").get<std::string>().c_str(), static_cast<int>(data.at("ratio").get<double>() * 100));
    }
    return open_.empty() ? Client::Follow::stop : Client::Follow::go_on;
  }

  void note_job(const Json& job) {
    const auto id = job.at("id").get<std::int64_t>();
    if (open_.count(id) == 0) return;
    const auto state = job.at("state").get<std::string>();
    if (state == "held") {
      say(format("job {} waits: {}", id, job.at("held_reason").get<std::string>()));
    } else if (state == "done" || state == "failed" || state == "cancelled") {
      open_.erase(id);
      ended_.push_back(job);
    }
  }

  void show_progress(const Json& data) {
    if (!live_) return;
    const Json& progress = data.at("progress");
    std::fprintf(stderr, "\r\033[Kjob %lld  image %d  %s %d/%d  %3d %%", data.at("job_id").get<long long>(),
                 progress.at("image_index").get<int>() + 1, progress.at("phase").get<std::string>().c_str(),
                 progress.at("step").get<int>(), progress.at("steps").get<int>(),
                 static_cast<int>(progress.at("ratio").get<double>() * 100));
  }

  void say(const std::string& line) { std::fprintf(stderr, "%s%s\n", live_ ? "\r\033[K" : "", line.c_str()); }

  const Client& client_;
  const bool live_ = isatty(STDERR_FILENO) == 1;
  std::set<std::int64_t> open_;
  std::vector<Json> ended_;
  int total_ = 0;
  int published_ = 0;
};

// Prints what one ended job left behind; true when it made everything.
bool print_job(const Client& client, const Json& job, const std::string& output_directory) {
  const auto id = job.at("id").get<std::int64_t>();
  const auto complete = client.get(format("/api/v1/jobs/{}", id));
  if (complete) {
    for (const Json& image : complete->at("images")) {
      if (image.at("state") != "published") continue;
      std::printf("%s/%s\n", output_directory.c_str(), image.at("path").get<std::string>().c_str());
    }
  }
  if (job.at("state") == "done") return true;
  const Json& error = job.at("error");
  std::fprintf(stderr, "pixelfleet: job %lld %s after %d of %d images%s%s\n", static_cast<long long>(id),
               job.at("state").get<std::string>().c_str(), job.at("published").get<int>(), job.at("count").get<int>(),
               error.is_null() ? "" : ": ", error.is_null() ? "" : error.at("message").get<std::string>().c_str());
  if (!error.is_null()) {
    for (const Json& line : error.at("evidence")) {
      std::fprintf(stderr, "  %s\n", line.get<std::string>().c_str());
    }
  }
  return false;
}

int submit_and_follow(const Client& client, const Json& body, Output output) {
  const auto submitted = client.post("/api/v1/jobs", body);
  if (!submitted) return report(submitted.error());
  const auto snapshot = client.get("/api/v1/snapshot");
  if (!snapshot) return report(snapshot.error());
  const auto output_directory = snapshot->at("server").at("output_dir").get<std::string>();
  const auto run_directory = submitted->at("run_dir").get<std::string>();
  for (const Json& job : submitted->at("jobs")) {
    for (const Json& warning : job.at("warnings")) {
      std::fprintf(stderr, "pixelfleet: note: %s\n", warning.get<std::string>().c_str());
    }
  }
  std::fprintf(stderr, "%zu job(s) accepted; pictures go to %s/%s\n", submitted->at("jobs").size(),
               output_directory.c_str(), run_directory.c_str());
  Follower follower(client, *submitted);
  if (const auto followed = follower.run(); !followed) return report(followed.error());
  bool complete = true;
  Json answer = Json::array();
  for (const Json& job : follower.ended()) {
    if (output == Output::json) {
      const auto whole = client.get(format("/api/v1/jobs/{}", job.at("id").get<std::int64_t>()));
      answer.push_back(whole ? *whole : job);
      complete &= job.at("state") == "done";
    } else {
      complete &= print_job(client, job, output_directory);
    }
  }
  if (output == Output::json) std::printf("%s\n", Json{{"jobs", answer}}.dump(2).c_str());
  return complete ? kExitOk : kExitJobsFailed;
}

Result<std::string> read_picture(const std::string& path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) return fail(system_error("cannot open " + path, errno));
  std::string bytes;
  char piece[1 << 16];
  while (const std::size_t size = std::fread(piece, 1, sizeof piece, file.get())) {
    bytes.append(piece, size);
    if (bytes.size() > kMaxPictureBytes) break;
  }
  if (std::ferror(file.get()) != 0) return fail(system_error("cannot read " + path, errno));
  if (bytes.empty() || bytes.size() > kMaxPictureBytes) {
    return fail(ErrorCode::invalid_argument, format("{} is {}; a picture of up to {} MiB is allowed", path,
                                                    bytes.empty() ? "empty" : "too large", kMaxPictureBytes >> 20));
  }
  return bytes;
}

// Makes the files uploads and puts their ids into every job.
Result<> upload_inputs(const Client& client, const std::map<std::string, std::string>& pictures, Json& jobs) {
  for (const auto& [key, bytes] : pictures) {
    const auto upload = client.post_picture("/api/v1/uploads", bytes);
    if (!upload) return fail(Error{upload.error().code, format("{}: {}", key, upload.error().message), {}});
    for (Json& job : jobs) job[key] = upload->at("id");
  }
  return {};
}

}  // namespace

std::string mode_of(const InputFiles& inputs) {
  if (inputs.empty()) return "txt2img";
  return inputs.count("mask_image") > 0 ? "inpaint" : "img2img";
}

Json job_from_texts(const std::map<std::string, std::string>& texts) {
  static const std::set<std::string> integers = {"width", "height", "steps", "seed", "count", "mask_feather"};
  static const std::set<std::string> numbers = {"cfg_scale", "strength", "rank"};
  Json job = Json::object();
  for (const auto& [key, text] : texts) {
    if (integers.count(key) > 0) {
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      const bool whole = error == std::errc{} && end == text.data() + text.size();
      job[key] = whole ? Json(value) : Json(text);
    } else if (numbers.count(key) > 0) {
      char* end = nullptr;
      const double value = std::strtod(text.c_str(), &end);
      const bool number = end != text.c_str() && *end == '\0';
      job[key] = number ? Json(value) : Json(text);
    } else if (key == "keep_mine") {
      job[key] = text == "true";
    } else {
      job[key] = text;
    }
  }
  return job;
}

int generate(const Config& config, const std::vector<Json>& jobs, const InputFiles& inputs, Output output,
             const Hooks& hooks) {
  for (const Json& job : jobs) {
    if (const auto spec = job_spec_from_json(job); !spec) return report(spec.error());
  }
  std::map<std::string, std::string> pictures;
  for (const auto& [key, path] : inputs) {
    auto bytes = read_picture(path);
    if (!bytes) return report(bytes.error());
    pictures[key] = std::move(*bytes);
  }
  Json body;
  body["jobs"] = jobs;
  const auto running = hooks.find_server(config);
  if (!running) return report(running.error());
  std::unique_ptr<PrivateServer> own;
  Endpoint endpoint;
  if (*running) {
    endpoint = **running;
  } else {
    auto started = hooks.start_private_server(config);
    if (!started) return report(started.error());
    own = std::move(*started);
    endpoint = own->endpoint();
  }
  const Client client(endpoint);
  if (const auto uploaded = upload_inputs(client, pictures, body["jobs"]); !uploaded) return report(uploaded.error());
  return submit_and_follow(client, body, output);
}

}  // namespace pixelfleet::cli
