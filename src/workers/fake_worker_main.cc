// fake_worker: a worker for tests that speaks the real protocol and breaks it on purpose.
//
// The fault is the name of its model (environment PIXELFLEET_WORKER_MODEL): "ok" behaves, every other name is one entry
// of the table below. Pictures are one colour, made from the seed, in no time.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "ipc/channel.h"
#include "ipc/sealed_buffer.h"
#include "workers/protocol.h"
#include "workers/spawn.h"

extern char** environ;

namespace pixelfleet::workers {
namespace {

using namespace protocol;

// Until somebody kills it.
[[noreturn]] void wait_forever() {
  while (true) pause();
}

// By the signal itself: a sanitizer would turn it into an exit code.
void crash() {
  signal(SIGSEGV, SIG_DFL);
  raise(SIGSEGV);
}

class FakeWorker {
 public:
  FakeWorker(UniqueFd socket, std::string fault) : channel_(std::move(socket)), fault_(std::move(fault)) {}

  [[noreturn]] void live() {
    if (is("exit before hello")) _exit(1);
    if (is("never hello")) wait_forever();
    if (is("no hello but utf-8 garbage")) raw("{\"type\":\"\xC3\x28\"}");
    say(Hello{is("wrong version") ? 99 : kVersion, static_cast<int>(getpid()), "fake", "none"});
    if (is("hello twice")) say(Hello{kVersion, static_cast<int>(getpid()), "fake", "none"});
    while (true) {
      const ToWorker order = hear();
      if (std::holds_alternative<Load>(order)) load();
      if (const auto* run = std::get_if<Run>(&order)) make(*run);
      if (std::holds_alternative<Shutdown>(order)) {
        if (is("ignores shutdown")) continue;
        _exit(0);
      }
    }
  }

 private:
  bool is(std::string_view fault) const { return fault_ == fault; }

  void load() {
    say(LoadProgress{0.5});
    if (is("crash at load")) crash();
    if (is("hang at load")) wait_forever();
    if (is("load failed")) {
      say(LoadFailed{{"model_unreadable", "the checkpoint is truncated", {"error: tensor 7 is missing"}}});
      _exit(12);
    }
    if (is("no memory to load")) _exit(11);
    say(Ready{.engine = "fake",
              .engine_version = "1",
              .generation = "",
              .cancel = is("kill only") ? "kill" : "step",
              .preview = true,
              .device_bytes = 1000,
              .load_seconds = 0.25});
    if (is("closes its socket")) {
      channel_.close();
      wait_forever();
    }
    if (is("closes stdout")) {
      close(STDOUT_FILENO);
      close(STDERR_FILENO);
    }
  }

  void make(const Run& run) {
    if (fault_.starts_with("exit ")) _exit(std::atoi(fault_.c_str() + 5));
    for (const Run::Image& image : run.images) {
      for (int step = 1; step <= run.steps; ++step) {
        say(Progress{run.chunk_id, image.index, Phase::sample, step, run.steps});
        if (step == 2) misbehave_at_step(run, image);
      }
      if (const auto memory = pixels(3 * 16 * 16, image.seed); is("previews") && memory) {
        say(protocol::Preview{run.chunk_id, image.index, 1, run.steps, 16, 16}, memory->get());
      }
      hand_over(run, image);
    }
    say(ChunkDone{run.chunk_id, "done", {}});
  }

  void misbehave_at_step(const Run& run, const Run::Image& image) {
    if (is("crash at step")) crash();
    if (is("stops at step")) raise(SIGSTOP);
    if (is("ignores cancel") || is("kill only")) wait_forever();
    if (is("garbage frame")) raw("this is not JSON");
    if (is("invalid utf-8")) raw("{\"type\":\"progress\",\"chunk_id\":\"\xFF\"}");
    if (is("long frame")) raw(std::string(ipc::kMaxInlineBytes + 1, 'x'));
    if (is("empty frame")) raw("");
    if (is("deep frame")) raw(std::string(50'000, '['));
    if (is("fd flood")) raw(R"({"type":"progress"})", std::vector<int>(100, 0));
    if (is("done early")) say(ChunkDone{run.chunk_id, "done", {}});
    if (is("cancels by itself")) say(ChunkDone{run.chunk_id, "cancelled", {}});
    if (is("fails the chunk")) {
      say(ChunkDone{run.chunk_id, "failed", {"bad_request", "no such sampler", {"error: sampler \"x\""}}});
      live_on();
    }
    if (is("loud abort")) {
      const std::string line = std::string(99, 'x') + "\n";
      for (int i = 0; i < 10'000; ++i) std::fputs(line.c_str(), stderr);
      std::fputs("GGML_ASSERT(ok) failed\n", stderr);
      std::fflush(stderr);
      std::abort();
    }
    if (is("progress flood")) {
      for (int i = 0; i < 10'000; ++i) say(Progress{run.chunk_id, image.index, Phase::sample, 2, run.steps});
    }
    if (is("steps repeat")) {
      while (true) say(Progress{run.chunk_id, image.index, Phase::sample, 1, run.steps});
    }
    if (is("crash with a grandchild")) {
      // It keeps our socket and our output open for a while.
      char program[] = "/bin/sleep";
      char seconds[] = "20";
      char* const arguments[] = {program, seconds, nullptr};
      pid_t pid = 0;
      posix_spawn(&pid, program, nullptr, nullptr, arguments, environ);
      crash();
    }
  }

  void hand_over(const Run& run, const Run::Image& image) {
    protocol::Image header{run.chunk_id, run.attempt, image.index, image.seed, run.width, run.height, 0.5};
    const std::size_t size = std::size_t{3} * static_cast<std::size_t>(run.width * run.height);
    auto memory = pixels(size, image.seed);
    if (is("unknown chunk")) header.chunk_id = header.attempt = run.chunk_id + 1000;
    if (is("earlier attempt")) header.attempt = run.attempt + 1;
    if (is("wrong size")) header.width = run.width + 64;
    if (is("wrong seed")) header.seed = image.seed + 1;
    if (is("index nobody asked for")) header.index = 999;
    if (is("short memory")) memory = pixels(size - 1, image.seed);
    if (is("unsealed memory")) {
      memory = UniqueFd(memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
      if (ftruncate(memory->get(), static_cast<off_t>(size)) != 0) std::abort();
    }
    if (is("device instead of memory")) memory = UniqueFd(open("/dev/zero", O_RDONLY | O_CLOEXEC));
    if (is("image without memory")) {
      say(header);
      return;
    }
    while (unacknowledged_ >= kMaxUnacknowledged && !is("does not wait")) hear_ack();
    say(header, memory->get());
    ++unacknowledged_;
    if (is("image twice")) say(header, memory->get());
    if (is("crash after the first image")) crash();
    if (is("exits in the middle of an image")) _exit(0);
  }

  [[noreturn]] void live_on() {
    fault_ = "ok";
    while (true) {
      const ToWorker order = hear();
      if (const auto* run = std::get_if<Run>(&order)) make(*run);
      if (std::holds_alternative<Shutdown>(order)) _exit(0);
    }
  }

  void hear_ack() {
    if (std::holds_alternative<Ack>(hear())) --unacknowledged_;
  }

  ToWorker hear() {
    auto received = channel_.receive(ipc::Wait::yes);
    if (!received || !std::holds_alternative<ipc::Frame>(*received)) _exit(16);
    return decode_to_worker(std::get<ipc::Frame>(*received).text).value();
  }

  void say(const FromWorker& message, int memory = -1) {
    if (!channel_.send(encode(message), memory, ipc::Wait::yes)) _exit(16);
  }

  // Sends what no Channel would send.
  void raw(std::string_view text, const std::vector<int>& descriptors = {}) {
    iovec part{const_cast<char*>(text.data()), text.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 253)] = {};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (!descriptors.empty()) {
      header.msg_control = control;
      header.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
      cmsghdr* rights = CMSG_FIRSTHDR(&header);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
      std::memcpy(CMSG_DATA(rights), descriptors.data(), sizeof(int) * descriptors.size());
    }
    if (sendmsg(channel_.fd(), &header, MSG_NOSIGNAL) < 0) _exit(16);
  }

  static Result<UniqueFd> pixels(std::size_t size, std::int64_t seed) {
    return ipc::seal(std::vector<std::uint8_t>(size, static_cast<std::uint8_t>(seed)), "fake-image");
  }

  ipc::Channel channel_;
  std::string fault_;
  int unacknowledged_ = 0;
};

}  // namespace
}  // namespace pixelfleet::workers

int main() {
  const char* fault = std::getenv("PIXELFLEET_WORKER_MODEL");
  pixelfleet::workers::FakeWorker worker(pixelfleet::UniqueFd(pixelfleet::workers::kWorkerSocket),
                                         fault != nullptr ? fault : "ok");
  worker.live();
}
