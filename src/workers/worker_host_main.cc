// worker_host: worker_main as a program of its own, and a server that can be killed, for tests.
//
// `worker_host worker --socket-fd 3` is a real worker. `worker_host serve ENGINES_DIR COUNT` starts COUNT workers of a
// demo model, prints their process ids once all are ready, and waits to be killed.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/format.h"
#include "base/mutex.h"
#include "workers/supervisor.h"
#include "workers/worker_main.h"

namespace pixelfleet::workers {
namespace {

class ReadyCounter final : public control::Inbox {
 public:
  void post(control::Message message) override {
    MutexLock lock(mutex_);
    if (std::holds_alternative<control::WorkerIsReady>(message)) ++ready_;
    if (std::holds_alternative<control::WorkerIsGone>(message)) std::_Exit(1);
    changed_.notify_all();
  }
  bool offer(control::Message) override { return true; }
  void wait_for(int count) {
    MutexLock lock(mutex_);
    while (ready_ < count) changed_.wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int ready_ GUARDED_BY(mutex_) = 0;
};

int serve(const char* program, const char* engines_dir, int count) {
  ReadyCounter inbox;
  SupervisorOptions options;
  options.program = program;
  options.engines_dir = engines_dir;
  options.time_scale = 1000;
  auto supervisor = make_supervisor(options, inbox);
  if (!supervisor) return 1;
  for (int i = 1; i <= count; ++i) {
    control::WorkerSpec spec;
    spec.id = WorkerId(i);
    spec.gpu = Gpu{format("virtual-{}", i), i, "virtual", GpuKind::virtual_gpu, std::int64_t{24} << 30};
    spec.model.key = "demo-landscape";
    spec.model.engine = "synthetic";
    spec.model.demo = DemoTraits{};
    spec.model.demo->scene = "landscape";
    (*supervisor)->start(spec);
  }
  inbox.wait_for(count);
  for (const auto& process : (*supervisor)->processes()) std::printf("%d\n", process.pid);
  std::printf("ready\n");
  std::fflush(stdout);
  while (true) pause();
}

}  // namespace
}  // namespace pixelfleet::workers

int main(int argument_count, char** arguments) {
  if (argument_count == 4 && std::string_view(arguments[1]) == "worker") {
    pixelfleet::workers::worker_main(std::atoi(arguments[3]), "test");
  }
  if (argument_count == 4 && std::string_view(arguments[1]) == "serve") {
    return pixelfleet::workers::serve("/proc/self/exe", arguments[2], std::atoi(arguments[3]));
  }
  std::fprintf(stderr, "usage: worker_host worker --socket-fd FD | serve ENGINES_DIR COUNT\n");
  return 2;
}
