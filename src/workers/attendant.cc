#include "workers/attendant.h"

#include <fcntl.h>
#include <signal.h>

#include <algorithm>

#include "base/format.h"
#include "base/log.h"

namespace pixelfleet::workers {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

// What a dead worker may have left in its socket; a grandchild that still holds it cannot keep us reading.
constexpr int kFramesAfterDeath = 1024;
constexpr std::size_t kMaxOutbox = 64;

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

}  // namespace

Attendant::Attendant(control::WorkerSpec spec, Process process, const SupervisorOptions& options, control::Inbox& inbox,
                     PixelsReleased pixels_released, Time now)
    : spec_(std::move(spec)),
      options_(options),
      inbox_(inbox),
      pixels_released_(std::move(pixels_released)),
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
      return is_held_back() ? Time::max() : moved_at_ + silence_limit();
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

// --- what the control loop orders -----------------------------------------------------------------------------------

void Attendant::run(const control::ChunkRequest& request, Time now) {
  if (muted_ || state_ >= State::leaving) return;  // WorkerIsGone is on its way
  if (state_ != State::ready) {
    return post(control::ChunkIsOver{
        spec_.id, request.id, "failed", {"engine_error", format("{} was not ready for a chunk", label()), {}}});
  }
  if (Result<> sent = send_inputs(request, now); !sent) {
    return post(control::ChunkIsOver{spec_.id, request.id, "failed", {"bad_request", sent.error().message, {}}});
  }
  const JobSettings& settings = request.settings;
  protocol::Run order{.chunk_id = request.id.value,
                      .attempt = request.id.value,
                      .prompt = settings.prompt,
                      .negative_prompt = settings.negative_prompt,
                      .width = settings.generate_width,
                      .height = settings.generate_height,
                      .published_width = settings.width,
                      .published_height = settings.height,
                      .steps = settings.steps,
                      .cfg_scale = settings.cfg_scale,
                      .sampler = settings.sampler,
                      .scheduler = settings.scheduler,
                      .mode = std::string(name(settings.mode)),
                      .strength = settings.strength,
                      .mask_feather = settings.mask_feather,
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

// The worker may open no files but its model's: it is handed these open.
Result<> Attendant::send_inputs(const control::ChunkRequest& request, Time now) {
  const auto send_one = [&](const char* role, const std::optional<InputPicture>& input) -> Result<> {
    if (!input) return {};
    const std::string path = options_.data_directory + "/" + input->file;
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) {
      Error error = system_error(format("cannot open {} of the job (upload {})", role, input->upload.value), errno);
      error.message += ". Upload the picture again and submit the job with the new id";
      return fail(std::move(error));
    }
    send(protocol::Input{request.id.value, role}, now, std::move(file));
    return {};
  };
  if (Result<> sent = send_one("init_image", request.settings.init_image); !sent) return sent;
  return send_one("mask_image", request.settings.mask_image);
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
  const bool was_held_back = is_held_back();
  if (unacknowledged_.erase({chunk, index}) == 0 || state_ >= State::leaving) return;
  if (was_held_back) moved_at_ = now;  // it could not move until now
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

void Attendant::send(const protocol::ToWorker& order, Time now, UniqueFd file) {
  if (channel_.fd() < 0) return;
  if (outbox_.size() >= kMaxOutbox) return breach("it does not read its messages", now);
  outbox_.push_back({protocol::encode(order), std::move(file)});
  flush(now);
}

void Attendant::flush(Time now) {
  while (wants_to_write()) {
    const auto sent =
        channel_.send(outbox_.front().text, outbox_.front().file ? outbox_.front().file.get() : -1, ipc::Wait::no);
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
