// What plug-ins share behind the C interface: keeping text alive for the caller, monotonic progress, cancel by ticket.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "engine/abi.h"

namespace pixelfleet::engine {

// Strings as the array of C strings that PfInfo and PfFailure point to.
class TextList {
 public:
  TextList() = default;
  explicit TextList(std::vector<std::string> texts) : texts_(std::move(texts)) {
    for (const std::string& text : texts_) pointers_.push_back(text.c_str());
  }
  TextList(const TextList&) = delete;
  TextList& operator=(TextList&& other) noexcept {  // the strings stay where they are: the pointers remain good
    texts_ = std::move(other.texts_);
    pointers_ = std::move(other.pointers_);
    return *this;
  }

  const char* const* data() const { return pointers_.data(); }
  std::size_t size() const { return pointers_.size(); }

 private:
  std::vector<std::string> texts_;
  std::vector<const char*> pointers_;
};

// The last failure of an engine, in the form that PfEngineApi::failure hands out.
class LastFailure {
 public:
  // Returns PF_FAILED, so that a call can end with `return failure_.set(...)`.
  int32_t set(PfFailureClass failure_class, std::string message, std::vector<std::string> lines = {}) {
    message_ = std::move(message);
    lines_ = TextList(std::move(lines));
    failure_ = {failure_class, message_.c_str(), lines_.data(), lines_.size()};
    return PF_FAILED;
  }
  const PfFailure* get() const { return &failure_; }

 private:
  std::string message_;
  TextList lines_;
  PfFailure failure_{PF_ENGINE_ERROR, "", nullptr, 0};
};

// Reports progress so that phases and steps only go forward, whatever an engine's callbacks say.
class Progress {
 public:
  explicit Progress(const PfSink& sink) : sink_(sink) {}

  void report(PfPhase phase, int step, int steps) {
    if (phase < phase_ || (phase == phase_ && step <= step_)) return;
    phase_ = phase;
    step_ = step;
    sink_.progress(sink_.user, phase, step, steps);
  }
  int phase() const { return phase_; }

 private:
  const PfSink& sink_;
  int phase_ = -1;
  int step_ = -1;
};

// The ticket that was cancelled last: a cancel may come before, during or after the call that it means.
class CancelTicket {
 public:
  void cancel(std::uint64_t ticket) { cancelled_.store(ticket); }
  bool covers(std::uint64_t ticket) const { return cancelled_.load() == ticket; }

 private:
  std::atomic<std::uint64_t> cancelled_{0};
};

// A bounded memory of error lines; engines log from several threads.
class ErrorLines {
 public:
  void clear() {
    const MutexLock lock(mutex_);
    lines_.clear();
  }
  void add(std::string line) {
    const MutexLock lock(mutex_);
    if (line.size() > kMaxLineBytes) line.resize(kMaxLineBytes);
    lines_.push_back(std::move(line));
    if (lines_.size() > kMaxLines) lines_.pop_front();
  }
  std::vector<std::string> lines() const {
    const MutexLock lock(mutex_);
    return {lines_.begin(), lines_.end()};
  }

 private:
  static constexpr std::size_t kMaxLines = 12;
  static constexpr std::size_t kMaxLineBytes = 1000;

  mutable Mutex mutex_;
  std::deque<std::string> lines_ GUARDED_BY(mutex_);
};

// The C functions around a plug-in's PfEngine, which has open, info, failure, load, generate and cancel, and `fail` to
// record a failure. No exception passes: a call that throws has failed. Pictures are std::vector<std::uint8_t> on the
// heap, owned through PfImage::owner.
template <class Engine>
class PluginApi {
 public:
  static constexpr PfEngineApi table(const char* name) {
    return {
        .abi = PF_ENGINE_ABI,
        .name = name,
        .open = open,
        .close = [](Engine* engine) { delete engine; },
        .info = [](const Engine* engine) { return engine->info(); },
        .failure = [](const Engine* engine) { return engine->failure(); },
        .load = [](Engine* engine, const PfModel* model, const PfSink* sink,
                   PfLoaded* loaded) { return guarded(*engine, [&] { return engine->load(*model, *sink, *loaded); }); },
        .generate =
            [](Engine* engine, const PfRequest* request, const PfSink* sink, PfImage* image) {
              return guarded(*engine, [&] { return engine->generate(*request, *sink, *image); });
            },
        .release =
            [](Engine*, PfImage* image) {
              delete static_cast<std::vector<std::uint8_t>*>(image->owner);
              *image = {};
            },
        .cancel = [](Engine* engine, std::uint64_t ticket) { engine->cancel(ticket); },
    };
  }

 private:
  static std::int32_t open(const PfOptions* options, Engine** engine) {
    try {
      *engine = new Engine(*options);
    } catch (const std::exception&) {
      *engine = nullptr;
      return PF_FAILED;
    }
    return guarded(**engine, [&] { return (*engine)->open(); });
  }

  template <class Call>
  static std::int32_t guarded(Engine& engine, Call call) {
    try {
      return call();
    } catch (const std::bad_alloc&) {
      return engine.fail(PF_OUT_OF_MEMORY, "not enough host memory");
    } catch (const std::exception& problem) {
      return engine.fail(PF_ENGINE_ERROR, problem.what());
    }
  }
};

// An input saves the first steps. In single precision, as stable-diffusion.cpp does this sum.
inline int sampled_steps(const PfRequest& request) {
  if (request.init_rgb == nullptr) return request.steps;
  const float kept = static_cast<float>(request.steps) * static_cast<float>(request.strength);
  return std::min(request.steps, static_cast<int>(kept) + 1);
}

}  // namespace pixelfleet::engine
