// Attendant: what the worker says, and whether it may say that now.
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/format.h"
#include "base/log.h"
#include "ipc/sealed_buffer.h"
#include "workers/attendant.h"

namespace pixelfleet::workers {
namespace {

// So many frames of one worker at a time: a chatterer does not keep the others waiting.
constexpr int kFramesPerTurn = 64;
constexpr std::size_t kMaxMessageBytes = 4096;

class MappedPixels final : public control::Pixels {
 public:
  MappedPixels(ipc::SealedBuffer buffer, int width, int height, std::function<void()> on_release)
      : buffer_(std::move(buffer)), width_(width), height_(height), on_release_(std::move(on_release)) {}
  ~MappedPixels() override {
    if (on_release_) on_release_();
  }
  std::span<const std::uint8_t> bytes() const override { return buffer_.bytes(); }
  int width() const override { return width_; }
  int height() const override { return height_; }

 private:
  const ipc::SealedBuffer buffer_;
  const int width_;
  const int height_;
  const std::function<void()> on_release_;
};

Result<control::PixelsPtr> map_pixels(UniqueFd memory, int width, int height, std::function<void()> on_release = {}) {
  if (!memory) return fail(ErrorCode::corrupt, "the pixels did not come with the message");
  const std::size_t size = std::size_t{3} * static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  auto buffer = ipc::SealedBuffer::map(std::move(memory), size);
  if (!buffer) return fail(buffer.error());
  return control::PixelsPtr(std::make_shared<MappedPixels>(*std::move(buffer), width, height, std::move(on_release)));
}

JobError job_error(const protocol::Failure& failure) {
  JobError error{failure.failure_class, clean_line(failure.message, kMaxMessageBytes), {}};
  for (const std::string& line : failure.lines) error.evidence.push_back(clean_line(line));
  return error;
}

}  // namespace

void Attendant::on_socket(Time now) {
  flush(now);
  read_frames(kFramesPerTurn, now);
}

void Attendant::read_frames(int budget, Time now) {
  for (int i = 0; i < budget && channel_.fd() >= 0; ++i) {
    auto received = channel_.receive(ipc::Wait::no);
    if (!received) return breach(received.error().message, now);
    if (std::holds_alternative<ipc::NothingYet>(*received)) return;
    if (std::holds_alternative<ipc::PeerClosed>(*received)) {
      channel_.close();
      // Usually the process has just ended; one that lives on without its socket cannot be used.
      if (state_ < State::leaving) expect_exit({}, now);
      return;
    }
    handle(std::get<ipc::Frame>(std::move(*received)), now);
  }
}

void Attendant::handle(ipc::Frame frame, Time now) {
  if (muted_ || state_ == State::leaving) return;
  auto message = protocol::decode_from_worker(frame.text);
  if (!message) return breach(message.error().message, now);
  if (const auto* image = std::get_if<protocol::Image>(&*message)) {
    return accept_image(*image, std::move(frame.memory), now);
  }
  if (const auto* preview = std::get_if<protocol::Preview>(&*message)) {
    return accept_preview(*preview, std::move(frame.memory), now);
  }
  std::visit(
      [&](const auto& m) {
        if constexpr (requires { this->accept(m, now); }) this->accept(m, now);
      },
      *message);
}

void Attendant::accept(const protocol::Hello& hello, Time now) {
  if (state_ != State::starting) return breach("it said hello twice", now);
  if (hello.protocol != protocol::kVersion) {
    return breach(format("it speaks version {} of the worker protocol, this server version {}: install program and "
                         "workers of one build",
                         hello.protocol, protocol::kVersion),
                  now);
  }
  log::info("workers", "{}: pid {}, build {}, sandbox {}", label(), hello.pid, clean_line(hello.build), hello.sandbox);
  if (options_.sandbox == SandboxPolicy::required && hello.sandbox != "full") {
    return kill({{"engine_error",
                  format("the sandbox of {} is \"{}\", and the configuration requires \"full\": use a kernel with "
                         "Landlock, or relax the setting",
                         label(), hello.sandbox),
                  {}}},
                now);
  }
  state_ = State::loading;
  since_ = moved_at_ = now;
  protocol::Load load{.model = spec_.model.key,
                      .engine = spec_.model.engine,
                      .parts = {},
                      .demo = spec_.model.demo,
                      .plugin = format("{}/libpixelfleet_engine_{}.so", options_.engines_dir, spec_.model.engine),
                      .engine_library = spec_.model.engine == "synthetic" ? "" : options_.engine_library,
                      .time_scale = options_.time_scale,
                      .gpu = spec_.gpu.uuid,
                      .gpu_kind = std::string(name(spec_.gpu.kind)),
                      .gpu_index = spec_.gpu.index};
  for (const ModelPart& part : spec_.model.parts) load.parts.push_back({std::string(name(part.role)), part.file});
  send(load, now);
}

void Attendant::accept(const protocol::LoadProgress& progress, Time now) {
  if (state_ != State::loading) return breach("it reported loading when it was not loading", now);
  moved_at_ = now;
  offer(control::WorkerLoading{spec_.id, progress.ratio});
}

void Attendant::accept(const protocol::Ready& ready, Time now) {
  if (state_ != State::loading) return breach("it said ready when it was not loading", now);
  state_ = State::ready;
  since_ = now;
  capabilities_ = {ready.cancel, ready.preview, ready.img2img, ready.inpaint, ready.lora};
  log::info("workers", "{}: ready in {:.2f} s with {} {} {}", label(), ready.load_seconds, clean_line(ready.engine),
            clean_line(ready.engine_version), clean_line(ready.generation));
  post(control::WorkerIsReady{spec_.id, capabilities_, clean_line(ready.engine), clean_line(ready.engine_version),
                              ready.device_bytes, ready.load_seconds});
}

void Attendant::accept(const protocol::LoadFailed& failed, Time now) {
  if (state_ != State::loading) return breach("it reported a failed load when it was not loading", now);
  const std::string& cause = failed.failure.failure_class;
  expect_exit({job_error(failed.failure), cause == "model_unreadable" || cause == "bad_request"}, now);
}

void Attendant::accept(const protocol::Progress& progress, Time now) {
  if (!chunk_ || chunk_->id.value != progress.chunk_id) return breach("it reported progress of another chunk", now);
  // Only a step ahead in the picture at hand is a sign of life; a counter that repeats itself is not.
  if (!chunk_->order.empty() && chunk_->order.front() == progress.index &&
      std::pair(progress.phase, progress.step) > std::pair(phase_, step_)) {
    note_movement(now);
    phase_ = progress.phase;
    step_ = progress.step;
  }
  offer(control::ChunkProgressed{spec_.id, chunk_->id, progress.index, progress.phase, progress.step, progress.steps});
}

void Attendant::accept_preview(const protocol::Preview& preview, UniqueFd memory, Time now) {
  if (!chunk_ || chunk_->id.value != preview.chunk_id) return breach("it sent a preview of another chunk", now);
  auto pixels = map_pixels(std::move(memory), preview.width, preview.height);
  if (!pixels) return breach("preview: " + pixels.error().message, now);
  offer(control::PreviewArrived{spec_.id, chunk_->id, preview.index, preview.step, preview.steps, *std::move(pixels)});
}

void Attendant::accept_image(const protocol::Image& image, UniqueFd memory, Time now) {
  if (!chunk_ || chunk_->id.value != image.chunk_id || chunk_->id.value != image.attempt) {
    return breach(
        format("it sent a picture of chunk {}, attempt {}, which it was not asked for", image.chunk_id, image.attempt),
        now);
  }
  const auto asked = chunk_->missing.find(image.index);
  if (asked == chunk_->missing.end()) {
    return breach(format("it sent picture {} twice or without being asked", image.index), now);
  }
  if (asked->second != image.seed || chunk_->width != image.width || chunk_->height != image.height) {
    return breach(format("it sent picture {} as {}x{} with seed {} where {}x{} with seed {} was asked", image.index,
                         image.width, image.height, image.seed, chunk_->width, chunk_->height, asked->second),
                  now);
  }
  if (is_held_back()) {
    return breach(format("it sent a picture although {} were waiting", unacknowledged_.size()), now);
  }
  auto pixels =
      map_pixels(std::move(memory), image.width, image.height,
                 [released = pixels_released_, chunk = chunk_->id, index = image.index] { released(chunk, index); });
  if (!pixels) return breach(format("picture {}: {}", image.index, pixels.error().message), now);

  unacknowledged_.emplace(chunk_->id, image.index);
  chunk_->missing.erase(asked);
  std::erase(chunk_->order, image.index);
  note_movement(now);
  learned_pixels_ = std::max(learned_pixels_, std::int64_t{image.width} * image.height);
  phase_ = Phase::load;
  step_ = -1;
  post(control::ImageArrived{spec_.id, chunk_->id, image.index, image.seed, image.seconds, *std::move(pixels)});
}

void Attendant::accept(const protocol::ChunkDone& done, Time now) {
  if (!chunk_ || chunk_->id.value != done.chunk_id) return breach("it ended a chunk that it was not making", now);
  if (done.outcome == "done" && !chunk_->missing.empty()) {
    return breach(format("it called its chunk done with {} pictures missing", chunk_->missing.size()), now);
  }
  if (done.outcome == "cancelled" && !chunk_->cancelled) return breach("it cancelled a chunk by itself", now);
  control::ChunkIsOver over{spec_.id, chunk_->id, done.outcome, {}};
  if (done.outcome == "failed") {
    over.failure = job_error(done.failure);
    if (over.failure.evidence.empty()) over.failure.evidence = log_.evidence();
  }
  chunk_.reset();
  if (state_ == State::running) {
    state_ = State::ready;
    since_ = now;
  }
  post(std::move(over));
}

void Attendant::on_output() {
  std::array<char, 16 * 1024> buffer;
  for (int round = 0; round < 4; ++round) {
    const ssize_t size = read(process_.output.get(), buffer.data(), buffer.size());
    if (size < 0) return;
    if (size == 0) return process_.output.reset();
    log_.add({buffer.data(), static_cast<std::size_t>(size)},
             [this](const std::string& line) { log::debug("workers", "{}: {}", label(), line); });
  }
}

}  // namespace pixelfleet::workers
