#include <dirent.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <climits>

#include "base/format.h"
#include "workers/test_fleet.h"

namespace pixelfleet::workers {

std::string program_directory() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
  const std::string whole(path, size > 0 ? static_cast<std::size_t>(size) : 0);
  return whole.substr(0, whole.rfind('/'));
}

std::string engines_directory() { return program_directory() + "/../engines"; }

SupervisorOptions fake_options() {
  SupervisorOptions options;
  options.program = program_directory() + "/fake_worker";
  options.engines_dir = engines_directory();
  return options;
}

SupervisorOptions synthetic_options() {
  SupervisorOptions options;
  options.program = program_directory() + "/worker_host";
  options.engines_dir = engines_directory();
  options.time_scale = 1000;
  options.preview_every_ms = 1;
  return options;
}

TestFleet::TestFleet(const SupervisorOptions& options) : supervisor_(make_supervisor(options, inbox_).value()) {}

WorkerId TestFleet::start(const std::string& model, std::optional<DemoTraits> demo, const GpuUuid& gpu) {
  control::WorkerSpec spec;
  spec.id = WorkerId(++last_worker_);
  spec.gpu.uuid = gpu.empty() ? format("virtual-{}", last_worker_) : gpu;
  spec.gpu.kind = GpuKind::virtual_gpu;
  spec.model.key = model;
  spec.model.engine = "synthetic";
  spec.model.demo = std::move(demo);
  supervisor_->start(spec);
  return spec.id;
}

WorkerId TestFleet::start_ready(const std::string& model, std::optional<DemoTraits> demo) {
  const WorkerId worker = start(model, std::move(demo));
  EXPECT_TRUE(inbox_.take<control::WorkerIsReady>(worker)) << model;
  return worker;
}

control::ChunkRequest request_for(int images, int steps) {
  control::ChunkRequest request;
  request.settings.prompt = "a red fox in the snow";
  request.settings.width = request.settings.generate_width = 64;
  request.settings.height = request.settings.generate_height = 64;
  request.settings.steps = steps;
  request.settings.cfg_scale = 7;
  request.settings.sampler = request.settings.scheduler = "default";
  for (int i = 0; i < images; ++i) request.items.push_back({i, 100 + i});
  return request;
}

ChunkId TestFleet::run(WorkerId worker, control::ChunkRequest request) {
  request.id = ChunkId(++last_chunk_);
  request.worker = worker;
  request.job = JobId(1);
  supervisor_->run(request);
  return request.id;
}

ChunkId TestFleet::run(WorkerId worker, int images, int steps) { return run(worker, request_for(images, steps)); }

std::vector<control::ImageArrived> TestFleet::make(WorkerId worker, int images, int steps) {
  const ChunkId chunk = run(worker, images, steps);
  std::vector<control::ImageArrived> made;
  for (int i = 0; i < images; ++i) {
    auto image = inbox_.take<control::ImageArrived>(worker);
    EXPECT_TRUE(image);
    if (!image) return made;
    supervisor_->image_taken(worker, chunk, image->index);
    made.push_back(std::move(*image));
  }
  const auto over = inbox_.take<control::ChunkIsOver>(worker);
  EXPECT_TRUE(over && over->chunk == chunk && over->outcome == "done") << (over ? over->outcome : "nothing");
  return made;
}

int TestFleet::pid_of(WorkerId worker) const {
  for (const WorkerProcess& process : supervisor_->processes()) {
    if (process.worker == worker) return process.pid;
  }
  return 0;
}

DemoTraits demo(double step_seconds, const std::string& faults) { return {4, step_seconds, "landscape", faults}; }

int open_descriptors() {
  DIR* directory = opendir("/proc/self/fd");
  int count = 0;
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

}  // namespace pixelfleet::workers
