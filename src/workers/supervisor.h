// Supervisor: starts, watches and ends the worker processes; the WorkerPort of a real server.
//
// One thread owns all workers and waits in epoll for their sockets, pidfds, output and deadlines; the port's calls put
// commands into its queue. It decides nothing about jobs: a worker that dies, hangs, breaks the protocol or lies about
// a picture is ended and reported once, the others go on. Restarts and their delay are the scheduler's.
//
// What WorkerIsGone.failure.code says, beside the failure classes of the protocol: engine_died, device_error,
// killed, engine_hung;
// cancelled, recycled, gpu_stuck (nobody's job is to blame for these three).
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/ports.h"

namespace pixelfleet::workers {

// What a worker's own sandbox must achieve.
enum class SandboxPolicy { off, best_effort, required };

struct SupervisorOptions {
  std::string program;  // absolute path of the worker program
  std::vector<std::string> arguments{"worker", "--socket-fd", "3"};
  std::string engines_dir;     // holds libpixelfleet_engine_NAME.so
  std::string engine_library;  // libstable-diffusion.so; empty where there is none
  std::string data_directory;  // what the files of input pictures are relative to
  double time_scale = 1;       // divides the times of demo models
  int preview_every_ms = 1000;
  SandboxPolicy sandbox = SandboxPolicy::best_effort;

  std::chrono::milliseconds hello_limit{10'000};
  std::chrono::milliseconds load_silence_limit{600'000};  // without progress
  // Without a step while a picture is made. Longer for a worker whose steps have been seen to take longer (ten times
  // the longest), and for the first picture on slow kinds of device.
  std::chrono::milliseconds run_silence_limit{30'000};
  std::chrono::milliseconds cancel_grace{5'000};
  std::chrono::milliseconds stop_grace{2'000};
  std::chrono::milliseconds reap_limit{10'000};  // after SIGKILL; then the gpu counts as stuck
};

struct WorkerProcess {
  WorkerId worker;
  int pid = 0;
  GpuUuid gpu;
  ModelKey model;
};

class Supervisor : public control::WorkerPort {
 public:
  // The processes that exist now, also those that are about to end. Any thread.
  virtual std::vector<WorkerProcess> processes() const = 0;
};

// `inbox` must outlive the supervisor, whose destructor ends all workers and waits for them (at most stop_grace and
// two seconds more).
Result<std::unique_ptr<Supervisor>> make_supervisor(SupervisorOptions options, control::Inbox& inbox);

}  // namespace pixelfleet::workers
