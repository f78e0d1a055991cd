// How fast the store accepts jobs, how fast it starts with a long history, and how fast it answers pages then.
//
// Submit: batch = jobs in one commit; each job brings a run, an image and an event, as one POST does. Times are those
// of the disk below the temporary directory (TMPDIR chooses it): compare ratios, not machines.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/format.h"
#include "store/store.h"

namespace pixelfleet::store {
namespace {

using control::Change;

class Directory {
 public:
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pixelfleet_bench_XXXXXX").native();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

Instant at(std::int64_t ms) { return from_unix_ms(1'790'000'000'000 + ms); }

std::unique_ptr<Store> open(const std::filesystem::path& directory) {
  auto store = Store::open(directory);
  if (!store) {
    std::fprintf(stderr, "%s\n", store.error().message.c_str());
    std::exit(1);
  }
  return std::move(*store);
}

void commit(Store& store, const std::vector<Change>& changes) {
  if (const auto done = store.commit(changes); !done) {
    std::fprintf(stderr, "%s\n", done.error().message.c_str());
    std::exit(1);
  }
}

// One POST of one job with one image: about 700 bytes of JSON in it, and its job.created event.
void submit(std::vector<Change>& changes, std::int64_t id, JobState state = JobState::queued) {
  Job job;
  job.id = JobId(id);
  job.run_id = RunId(id);
  job.run_dir = format("run_20261124_091530_{}", id);
  job.state = state;
  job.requested.prompt =
      format("a red fox number {} in the snow at dawn, soft light, detailed fur, wide landscape", id);
  job.requested.negative_prompt = "blurry, low quality, watermark";
  job.requested.model = "demo-landscape";
  job.requested.profile = "photoreal";
  job.settings.prompt = job.requested.prompt + ", photograph, 35mm, natural light";
  job.settings.negative_prompt = job.requested.negative_prompt + ", drawing, painting";
  job.settings.model = "demo-landscape";
  job.settings.profile = "photoreal";
  job.settings.width = job.settings.height = job.settings.generate_width = job.settings.generate_height = 512;
  job.settings.steps = 20;
  job.settings.cfg_scale = 7.0;
  job.settings.sampler = job.settings.scheduler = "default";
  job.created_at = at(id);
  Image image;
  image.id = ImageId(id);
  image.job_id = job.id;
  image.seed = id;
  image.path = format("{}/20261124_091530_photoreal_a-red-fox_seed{}_01.png", job.run_dir, id);
  if (state == JobState::done) {
    image.state = ImageState::published;
    image.published_at = job.started_at = job.finished_at = at(id);
    job.published = 1;
  }
  changes.emplace_back(control::InsertRun{{job.run_id, job.run_dir, job.created_at}});
  changes.emplace_back(control::InsertJob{std::move(job), {std::move(image)}});
  changes.emplace_back(control::AppendEvent{
      std::make_shared<Event>(Event{id, "job.created", at(id), format("{{\"job\":\"{}\"}}", std::string(900, 'x'))})});
}

void BM_Submit(benchmark::State& state) {
  const Directory directory;
  const auto store = open(directory.path());
  std::int64_t id = 0;
  std::vector<Change> changes;
  for (auto step : state) {
    state.PauseTiming();
    changes.clear();
    for (std::int64_t i = 0; i < state.range(0); ++i) submit(changes, ++id);
    state.ResumeTiming();
    commit(*store, changes);
  }
  state.SetItemsProcessed(id);
}
BENCHMARK(BM_Submit)->ArgName("batch")->Arg(1)->Arg(16)->Arg(64)->UseRealTime()->MinTime(3.0);

// A picture's way through the store: chunk, publication, end.
void BM_FinishJob(benchmark::State& state) {
  const Directory directory;
  const auto store = open(directory.path());
  std::int64_t id = 0;
  for (auto step : state) {
    state.PauseTiming();
    std::vector<Change> changes;
    submit(changes, ++id);
    commit(*store, changes);
    state.ResumeTiming();
    commit(*store, {control::InsertChunk{ChunkId(id), JobId(id), {0}, WorkerId(1), "virtual-0", at(id)},
                    control::UpdateJob{JobId(id), JobState::running, {}, {}, 0, at(id), {}}});
    commit(*store, {control::PublishImage{JobId(id), 0, ChunkId(id), 1000, {}, at(id)},
                    control::FinishChunk{ChunkId(id), "done", {}, at(id)},
                    control::UpdateJob{JobId(id), JobState::done, {}, {}, 0, at(id), at(id)}});
  }
  state.SetItemsProcessed(id);
}
BENCHMARK(BM_FinishJob)->UseRealTime();

// A store with a history: built once for each size, used by the benchmarks below.
const std::filesystem::path& history(std::int64_t queued, std::int64_t done) {
  static std::map<std::pair<std::int64_t, std::int64_t>, std::unique_ptr<Directory>> built;
  auto& directory = built[{queued, done}];
  if (directory) return directory->path();
  directory = std::make_unique<Directory>();
  const auto store = open(directory->path());
  std::vector<Change> changes;
  for (std::int64_t id = 1; id <= done + queued; ++id) {
    submit(changes, id, id <= done ? JobState::done : JobState::queued);
    if (changes.size() < 3000 && id < done + queued) continue;
    commit(*store, changes);
    changes.clear();
  }
  return directory->path();
}

double resident_mebibytes() {
  std::ifstream stream("/proc/self/statm");
  std::int64_t pages = 0;
  stream >> pages >> pages;
  return static_cast<double>(pages * ::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

void BM_OpenAndRestore(benchmark::State& state) {
  const std::filesystem::path& directory = history(state.range(0), state.range(1));
  const double before = resident_mebibytes();
  for (auto step : state) {
    const auto store = open(directory);
    const auto restored = store->restore();
    state.counters["open_jobs"] = static_cast<double>(restored->open_jobs.size());
    state.counters["resident_mib"] = resident_mebibytes() - before;
  }
}
BENCHMARK(BM_OpenAndRestore)
    ->ArgNames({"queued", "done"})
    ->Args({0, 100'000})
    ->Args({10'000, 100'000})
    ->Args({100'000, 1'000'000})
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Iterations(1);

void BM_PageOfJobs(benchmark::State& state) {
  const auto store = open(history(100'000, 1'000'000));
  control::JobQuery query{{JobState::queued, JobState::done}, 50, JobId(1'020'000)};
  for (auto step : state) {
    auto page = store->jobs(query);
    benchmark::DoNotOptimize(page);
    // Towards the history's beginning, across the border of the two states.
    query.after = JobId(query.after->value > 900'000 ? query.after->value - 50 : 1'020'000);
  }
}
BENCHMARK(BM_PageOfJobs)->Unit(benchmark::kMicrosecond);

void BM_PageOfImages(benchmark::State& state) {
  const auto store = open(history(100'000, 1'000'000));
  control::ImageQuery query{std::nullopt, 50, ImageId(1'000'000)};
  for (auto step : state) {
    auto page = store->images(query);
    benchmark::DoNotOptimize(page);
    query.after = ImageId(query.after->value > 1'000 ? query.after->value - 50 : 1'000'000);
  }
}
BENCHMARK(BM_PageOfImages)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace pixelfleet::store

BENCHMARK_MAIN();
