// Situation: a Board for tests, in round numbers.
//
// Unless told otherwise a gpu has 24 GB; a model's weights take 8 GB and its load 10 s from host memory, where its
// file of 10 GB is, and 20 s from the disk, half of that reading; a job runs for 10 s on any gpu, arrives now and is
// its owner's only one.
#pragma once

#include <algorithm>
#include <vector>

#include "scheduler/board.h"

namespace pixelfleet::scheduler {

inline constexpr double kGigabyte = 1e9;

class Situation {
 public:
  struct GpuFacts {
    double gigabytes = 24.0;
    int type = 0;
  };
  enum class File { in_host, on_disk };
  struct Facts {
    double gigabytes = 8.0;
    double workspace_gigabytes = 0.0;
    double host_seconds = 10.0;
    double disk_seconds = 20.0;
    double file_gigabytes = 10.0;
    File file = File::in_host;
  };
  struct Wish {
    double seconds = 10.0;
    std::vector<double> by_type = {};  // instead of `seconds`
    double waited = 0.0;
    Priority priority = Priority::normal;
    int owner = -1;  // -1: one of its own
    int place = 0;
    int images = 1;
    int loras = 0;
    double backlog_at_arrival = 0.0;
    GpuMask gpus = ~GpuMask{};
  };

  Situation() { board.now = 1000.0; }

  int gpu() { return gpu({}); }
  int gpu(const GpuFacts& facts) {
    BoardGpu& added = board.gpus.emplace_back();
    added.type = facts.type;
    added.memory_bytes = facts.gigabytes * kGigabyte;
    return static_cast<int>(board.gpus.size()) - 1;
  }

  int model() { return model({}); }
  int model(const Facts& facts) {
    BoardModel& added = board.models.emplace_back();
    added.weights_bytes = facts.gigabytes * kGigabyte;
    added.workspace_bytes = facts.workspace_gigabytes * kGigabyte;
    added.file_bytes = facts.file_gigabytes * kGigabyte;
    added.load_from_host.fill(static_cast<float>(facts.host_seconds));
    added.load_from_disk.fill(static_cast<float>(facts.disk_seconds));
    added.lora_seconds = 3.0;
    added.in_host = facts.file == File::in_host;
    return static_cast<int>(board.models.size()) - 1;
  }

  void holds(int gpu, int model) {
    const BoardModel& facts = board.model(model);
    Resident& resident = board.gpu(gpu).residents.emplace_back();
    resident.model = model;
    resident.weights_bytes = facts.weights_bytes;
    resident.workspace_bytes = facts.workspace_bytes;
  }
  // It holds the model, too.
  void runs(int gpu, int model, double seconds) {
    if (!board.gpu(gpu).holds(model)) holds(gpu, model);
    board.gpu(gpu).running = model;
    board.gpu(gpu).run_end = board.now + seconds;
  }
  void loads(int gpu, int model, double seconds) {
    BoardGpu& g = board.gpu(gpu);
    g.loading = model;
    g.load_end = board.now + seconds;
    g.loading_weights_bytes = board.model(model).weights_bytes;
    g.loading_workspace_bytes = board.model(model).workspace_bytes;
    g.load_blocks = true;
  }
  void stages(int model, double seconds) {
    board.staging = model;
    board.staging_end = board.now + seconds;
  }

  void waits(std::int64_t id, int model) { waits(id, model, {}); }
  void waits(std::int64_t id, int model, const Wish& wish) {
    BoardJob job;
    job.id = JobId{id};
    job.priority = wish.priority;
    job.model = model;
    job.owner = wish.owner;
    if (wish.owner < 0) job.owner = static_cast<int>(board.owners.size());
    if (board.owners.size() <= static_cast<std::size_t>(job.owner)) {
      board.owners.resize(static_cast<std::size_t>(job.owner) + 1);
    }
    job.place = wish.place;
    job.images = wish.images;
    job.loras = wish.loras;
    job.arrived = board.now - wish.waited;
    job.backlog_at_arrival = wish.backlog_at_arrival;
    job.gpus = wish.gpus;
    job.seconds.fill(static_cast<float>(wish.by_type.empty() ? wish.seconds : wish.by_type.back()));
    for (std::size_t type = 0; type < wish.by_type.size(); ++type) {
      job.seconds[type] = static_cast<float>(wish.by_type[type]);
    }

    BoardModel& facts = board.model(model);
    ++facts.queued;
    facts.queued_seconds += static_cast<double>(*std::min_element(job.seconds.begin(), job.seconds.end()));
    facts.oldest_arrival = facts.window.empty() ? job.arrived : std::min(facts.oldest_arrival, job.arrived);
    facts.window.push_back(job);
    const auto at = std::lower_bound(board.wanted.begin(), board.wanted.end(), model);
    if (at == board.wanted.end() || *at != model) board.wanted.insert(at, model);
  }

  Board board;
};

inline Choice run(int gpu, int model, std::int64_t job) { return {Choice::Kind::run, gpu, model, JobId{job}, 0.0}; }
inline Choice load(int gpu, int model, std::int64_t job = 0) {
  return {Choice::Kind::load, gpu, model, JobId{job}, 0.0};
}
inline Choice load_behind(int gpu, int model, std::int64_t job = 0) {
  return {Choice::Kind::load_behind, gpu, model, JobId{job}, 0.0};
}

}  // namespace pixelfleet::scheduler
