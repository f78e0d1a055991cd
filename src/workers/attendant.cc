#include "workers/attendant.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/format.h"
#include "base/log.h"
#include "ipc/sealed_buffer.h"

namespace pixelfleet::workers {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

// So many frames of one worker at a time: a chatterer does not keep the others waiting.
constexpr int kFramesPerTurn = 64;
// What a dead worker may have left in its socket; a grandchild that still holds it cannot keep us reading.
constexpr int kFramesAfterDeath = 1024;
constexpr std::size_t kMaxOutbox = 64;
constexpr std::size_t kMaxMessageBytes = 4096;

class MappedPixels final : public control::Pixels {
 public:
  MappedPixels(ipc::SealedBuffer buffer, int width, int height)
      : buffer_(std::move(buffer)), width_(width), height_(height) {}
  std::span<const std::uint8_t> bytes() const override { return buffer_.bytes(); }
  int width() const override { return width_; }
  int height() const override { return height_; }

 private:
  const ipc::SealedBuffer buffer_;
  const int width_;
  const int height_;
};

Result<control::PixelsPtr> map_pixels(UniqueFd memory, int width, int height) {
  if (!memory) return fail(ErrorCode::corrupt, "the pixels did not come with the message");
  const std::size_t size = std::size_t{3} * static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  auto buffer = ipc::SealedBuffer::map(std::move(memory), size);
  if (!buffer) return fail(buffer.error());
  return control::PixelsPtr(std::make_shared<MappedPixels>(*std::move(buffer), width, height));
}

// How much longer than run_silence_limit the first picture may be silent, while nothing is known of the speed.
int patience(GpuKind kind) {
  switch (kind) {
    case GpuKind::virtual_gpu: return 1;
    case GpuKind::nvidia:
    case GpuKind::amd: return 4;
    case GpuKind::cpu: return 30;
  }
  return 1;
}

JobError job_error(const protocol::Failure& failure) {
  JobError error{failure.failure_class, clean_line(failure.message, kMaxMessageBytes), {}};
  for (const std::string& line : failure.lines) error.evidence.push_back(clean_line(line));
  return error;
}

}  // namespace

Attendant::Attendant(control::WorkerSpec spec, Process process, const SupervisorOptions& options, control::Inbox& inbox,
                     Time now)
    : spec_(std::move(spec)),
      options_(options),
      inbox_(inbox),
      process_(std::move(process)),
      channel_(std::move(process_.socket)),
      since_(now),
      moved_at_(now) {}

Attendant::Time Attendant::deadline() const {
  switch (state_) {
    case State::starting: return since_ + options_.hello_limit;
    case State::loading: return moved_at_ + options_.load_silence_limit;
    case State::running: {
      if (chunk_->cancel_by) return *chunk_->cancel_by;
      // A worker whose pictures nobody has taken yet waits for us.
      return unacknowledged_ >= protocol::kMaxUnacknowledged ? Time::max() : moved_at_ + silence_limit();
    }
    case State::leaving: return since_ + options_.stop_grace;
    case State::killed: return since_ + options_.reap_limit;
    case State::ready:
    case State::stuck:
    case State::gone: break;
  }
  return Time::max();
}

void Attendant::on_deadline(Time now) {
  if (now < deadline()) return;
  const auto silent = [&] { return duration_cast<std::chrono::seconds>(now - moved_at_).count(); };
  switch (state_) {
    case State::starting:
      return kill({{"engine_hung",
                    format("{} did not report within {} s of its start", label(), options_.hello_limit.count() / 1000),
                    {}}},
                  now);
    case State::loading:
      return kill({{"engine_hung", format("{} made no progress in loading for {} s", label(), silent()), {}}}, now);
    case State::running:
      if (chunk_->cancel_by) {
        return kill({{"cancelled", format("{} was ended because it did not stop its picture", label()), {}}}, now);
      }
      return kill({{"engine_hung", format("{} made no progress for {} s and was ended", label(), silent()), {}}}, now);
    case State::leaving:
      if (verdict_->error.code.empty()) {
        verdict_->error = {"protocol", format("{} closed its connection but did not end", label()), {}};
      }
      return kill(*verdict_, now);
    case State::killed:
      log::error("workers",
                 "{} (pid {}) does not end although it was killed: its driver is stuck. "
                 "No other worker is started on {} until it has ended",
                 label(), process_.pid, spec_.gpu.uuid);
      report_gone({{"gpu_stuck",
                    format("{} does not end although it was killed: the driver of {} is stuck. Reset the gpu or reboot",
                           label(), spec_.gpu.uuid),
                    {}}});
      muted_ = true;
      state_ = State::stuck;
      return;
    case State::ready:
    case State::stuck:
    case State::gone: return;
  }
}

// --- what the worker says -------------------------------------------------------------------------------------------

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
  if (unacknowledged_ >= protocol::kMaxUnacknowledged) {
    return breach(format("it sent a picture although {} were waiting", unacknowledged_), now);
  }
  auto pixels = map_pixels(std::move(memory), image.width, image.height);
  if (!pixels) return breach(format("picture {}: {}", image.index, pixels.error().message), now);

  ++unacknowledged_;
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

// --- what the control loop orders -----------------------------------------------------------------------------------

void Attendant::run(const control::ChunkRequest& request, Time now) {
  if (muted_ || state_ >= State::leaving) return;  // WorkerIsGone is on its way
  if (state_ != State::ready) {
    return post(control::ChunkIsOver{
        spec_.id, request.id, "failed", {"engine_error", format("{} was not ready for a chunk", label()), {}}});
  }
  const JobSettings& settings = request.settings;
  protocol::Run order{.chunk_id = request.id.value,
                      .attempt = request.id.value,
                      .prompt = settings.prompt,
                      .negative_prompt = settings.negative_prompt,
                      .width = settings.generate_width,
                      .height = settings.generate_height,
                      .steps = settings.steps,
                      .cfg_scale = settings.cfg_scale,
                      .sampler = settings.sampler,
                      .scheduler = settings.scheduler,
                      .images = {},
                      .preview_every_ms = capabilities_.preview ? options_.preview_every_ms : 0};
  chunk_.emplace(Chunk{request.id, {}, {}, settings.generate_width, settings.generate_height, std::nullopt, false});
  for (const auto& item : request.items) {
    order.images.push_back({item.index, item.seed});
    chunk_->missing.emplace(item.index, item.seed);
    chunk_->order.push_back(item.index);
  }
  state_ = State::running;
  since_ = moved_at_ = now;
  phase_ = Phase::load;
  step_ = -1;
  send(order, now);
}

void Attendant::cancel(ChunkId chunk, Time now) {
  if (!chunk_ || chunk_->id != chunk || state_ != State::running || chunk_->cancelled) return;
  chunk_->cancelled = true;
  if (capabilities_.cancel == "kill") {
    return kill({{"cancelled", format("{} was ended to cancel its picture", label()), {}}}, now);
  }
  // Between two steps nothing can be stopped: where steps are long, the grace is.
  if (capabilities_.cancel == "step") chunk_->cancel_by = now + std::max(options_.cancel_grace, 2 * longest_pause_);
  send(protocol::Cancel{chunk.value}, now);
}

void Attendant::acknowledge(ChunkId chunk, int index, Time now) {
  if (unacknowledged_ == 0 || state_ >= State::leaving) return;
  if (unacknowledged_ >= protocol::kMaxUnacknowledged) moved_at_ = now;  // it could not move until now
  --unacknowledged_;
  send(protocol::Ack{chunk.value, index}, now);
}

void Attendant::stop(Time now) {
  muted_ = true;
  chunk_.reset();
  if (state_ >= State::leaving) return;
  send(protocol::Shutdown{}, now);
  if (state_ < State::leaving) expect_exit({}, now);
}

// --- the end ---------------------------------------------------------------------------------------------------------

void Attendant::on_exit(Time now) {
  const auto status = reap(process_, Reap::now);
  if (!status) return;
  // Its last words: why it could not load, pictures that it handed over in time, what it printed about its end. They
  // are judged in the state in which it said them.
  read_frames(kFramesAfterDeath, now);
  channel_.close();
  if (process_.output) on_output();
  process_.output.reset();
  process_.pidfd.reset();  // nothing of it is left when the report goes out
  const Doing was = doing();
  state_ = State::gone;
  if (muted_) {
    log::debug("workers", "{} has ended ({})", label(), describe(*status));
    return;
  }
  const bool explained = verdict_ && !verdict_->error.code.empty();
  report_gone(explained ? *verdict_ : judge_exit(*status, was, spec_.model.key, spec_.gpu.uuid));
}

void Attendant::report_gone(Verdict verdict) {
  if (muted_) return;
  const bool cancelled = verdict.error.code == "cancelled";
  if (cancelled && chunk_) post(control::ChunkIsOver{spec_.id, chunk_->id, "cancelled", {}});
  chunk_.reset();
  if (verdict.error.evidence.empty() && !cancelled) verdict.error.evidence = log_.evidence();
  if (cancelled) {
    log::info("workers", "{}", verdict.error.message);
  } else {
    log::warn("workers", "{}", verdict.error.message);
    for (const std::string& line : verdict.error.evidence) log::warn("workers", "  {}", line);
  }
  post(control::WorkerIsGone{spec_.id, std::move(verdict.error), verdict.permanent});
}

void Attendant::breach(const std::string& what, Time now) {
  channel_.close();
  if (muted_ || state_ >= State::killed) return;  // it is dead already: what it left behind is not worth a report
  if (state_ == State::leaving) return kill(*verdict_, now);
  kill({{"protocol", format("{} broke the worker protocol: {}", label(), clean_line(what)), {}}}, now);
}

void Attendant::kill(Verdict verdict, Time now) {
  if (state_ >= State::killed) return;
  signal_process(process_, SIGKILL);
  if (state_ != State::leaving) was_doing_ = doing();
  verdict_ = std::move(verdict);
  state_ = State::killed;
  since_ = now;
}

void Attendant::expect_exit(Verdict verdict, Time now) {
  was_doing_ = doing();
  verdict_ = std::move(verdict);
  state_ = State::leaving;
  since_ = now;
}

// --- small parts -----------------------------------------------------------------------------------------------------

void Attendant::send(const protocol::ToWorker& order, Time now) {
  if (channel_.fd() < 0) return;
  if (outbox_.size() >= kMaxOutbox) return breach("it does not read its messages", now);
  outbox_.push_back(protocol::encode(order));
  flush(now);
}

void Attendant::flush(Time now) {
  while (wants_to_write()) {
    const auto sent = channel_.send(outbox_.front(), ipc::Wait::no);
    if (!sent) {
      if (sent.error().code != ErrorCode::unavailable) return breach(sent.error().message, now);
      outbox_.clear();  // it is gone; its exit tells more
      return;
    }
    if (*sent == ipc::Sent::would_block) return;
    outbox_.pop_front();
  }
}

void Attendant::note_movement(Time now) {
  longest_pause_ = std::max(longest_pause_, duration_cast<milliseconds>(now - moved_at_));
  moved_at_ = now;
}

milliseconds Attendant::silence_limit() const {
  const std::int64_t pixels = std::int64_t{chunk_->width} * chunk_->height;
  if (learned_pixels_ * 2 < pixels) return options_.run_silence_limit * patience(spec_.gpu.kind);
  return std::max(options_.run_silence_limit, 10 * longest_pause_);
}

Doing Attendant::doing() const {
  switch (state_) {
    case State::starting: return Doing::starting;
    case State::loading: return Doing::loading;
    case State::ready: return Doing::waiting;
    case State::running: return Doing::making;
    default: return was_doing_;
  }
}

std::string Attendant::label() const {
  return format("worker {} ({} on {})", spec_.id.value, spec_.model.key, spec_.gpu.uuid);
}

void Attendant::post(control::Message message) {
  if (!muted_) inbox_.post(std::move(message));
}

void Attendant::offer(control::Message message) {
  if (!muted_) inbox_.offer(std::move(message));
}

}  // namespace pixelfleet::workers
