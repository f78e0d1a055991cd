#include "workers/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/format.h"
#include "workers/spawn.h"
#include "workers/test_fleet.h"

namespace pixelfleet::workers {
namespace {

using control::ChunkIsOver;
using control::ChunkProgressed;
using control::ImageArrived;
using control::PreviewArrived;
using control::WorkerIsGone;
using control::WorkerIsReady;
using control::WorkerLoading;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::uint8_t> bytes_of(const ImageArrived& image) {
  return {image.pixels->bytes().begin(), image.pixels->bytes().end()};
}

// --- the real worker with the synthetic engine ----------------------------------------------------------------------

TEST(RealWorker, LoadsRunsAndHandsOverEveryPicture) {
  TestFleet fleet(synthetic_options());
  const WorkerId worker = fleet.start("demo-landscape", demo());
  const auto ready = fleet.inbox().take<WorkerIsReady>(worker);
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->engine, "synthetic");
  EXPECT_EQ(ready->capabilities.cancel, "step");
  EXPECT_TRUE(ready->capabilities.preview);
  EXPECT_TRUE(fleet.inbox().take<WorkerLoading>(worker));

  const auto images = fleet.make(worker, 3);
  ASSERT_EQ(images.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    const ImageArrived& image = images[static_cast<std::size_t>(i)];
    EXPECT_EQ(image.index, i);
    EXPECT_EQ(image.seed, 100 + i);
    EXPECT_EQ(image.pixels->bytes().size(), 64u * 64 * 3);
  }
  EXPECT_NE(bytes_of(images[0]), bytes_of(images[1]));
  EXPECT_TRUE(fleet.inbox().take<ChunkProgressed>(worker));
  const auto preview = fleet.inbox().take<PreviewArrived>(worker);
  ASSERT_TRUE(preview);
  EXPECT_EQ(preview->pixels->bytes().size(),
            static_cast<std::size_t>(preview->pixels->width() * preview->pixels->height() * 3));
}

TEST(RealWorker, GivesTheSamePictureForTheSameSeed) {
  TestFleet fleet(synthetic_options());
  const auto one = fleet.make(fleet.start_ready("demo-landscape", demo()), 1);
  const auto two = fleet.make(fleet.start_ready("demo-landscape", demo()), 1);
  ASSERT_TRUE(one.size() == 1 && two.size() == 1);
  EXPECT_EQ(bytes_of(one[0]), bytes_of(two[0]));
}

TEST(RealWorker, StopsWithinAStepWhenCancelledAndGoesOnAfterwards) {
  auto options = synthetic_options();
  options.time_scale = 1;
  TestFleet fleet(options);
  DemoTraits traits = demo(0.05);
  traits.load_seconds = 0;
  const WorkerId worker = fleet.start_ready("demo-landscape", traits);
  const ChunkId chunk = fleet.run(worker, 100, 200);  // over a quarter of an hour
  ASSERT_TRUE(fleet.inbox().take<ChunkProgressed>(worker));
  fleet.supervisor().cancel(worker, chunk);
  const auto over = fleet.inbox().take<ChunkIsOver>(worker);
  ASSERT_TRUE(over);
  EXPECT_EQ(over->outcome, "cancelled");
  EXPECT_EQ(fleet.make(worker, 1, 2).size(), 1u);
  EXPECT_EQ(fleet.inbox().count<WorkerIsGone>(worker), 0);
}

TEST(RealWorker, WaitsWhileTwoPicturesAreNotTakenAndCanBeCancelledThen) {
  TestFleet fleet(synthetic_options());
  const WorkerId worker = fleet.start_ready("demo-landscape", demo());
  const ChunkId chunk = fleet.run(worker, 5);
  const auto first = fleet.inbox().take<ImageArrived>(worker);
  const auto second = fleet.inbox().take<ImageArrived>(worker);
  ASSERT_TRUE(first && second);
  fleet.supervisor().cancel(worker, chunk);
  const auto over = fleet.inbox().take<ChunkIsOver>(worker);
  ASSERT_TRUE(over);
  EXPECT_EQ(over->outcome, "cancelled");
  EXPECT_EQ(fleet.inbox().count<ImageArrived>(worker), 0);
}

TEST(RealWorker, SendsTheNextPictureOnceOneIsTaken) {
  TestFleet fleet(synthetic_options());
  const WorkerId worker = fleet.start_ready("demo-landscape", demo());
  const ChunkId chunk = fleet.run(worker, 3);
  const auto first = fleet.inbox().take<ImageArrived>(worker);
  const auto second = fleet.inbox().take<ImageArrived>(worker);
  ASSERT_TRUE(first && second);
  fleet.supervisor().image_taken(worker, chunk, 0);
  const auto third = fleet.inbox().take<ImageArrived>(worker);
  ASSERT_TRUE(third);
  EXPECT_EQ(third->index, 2);
}

TEST(RealWorker, CountsAPictureThatNobodyHoldsAnyMoreAsTaken) {
  TestFleet fleet(synthetic_options());
  const WorkerId worker = fleet.start_ready("demo-landscape", demo());
  fleet.run(worker, 6);
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(fleet.inbox().take<ImageArrived>(worker)) << i;
  EXPECT_EQ(fleet.inbox().take<ChunkIsOver>(worker)->outcome, "done");
}

TEST(RealWorker, PicturesOutliveTheirSupervisor) {
  std::vector<ImageArrived> images;
  {
    TestFleet fleet(synthetic_options());
    const WorkerId worker = fleet.start_ready("demo-landscape", demo());
    fleet.run(worker, 1);
    images.push_back(*fleet.inbox().take<ImageArrived>(worker));
  }
  EXPECT_EQ(images[0].pixels->bytes().size(), 64u * 64 * 3);
}

TEST(RealWorker, ReportsAMissingPluginInWords) {
  TestFleet fleet(synthetic_options());
  control::WorkerSpec spec;
  spec.id = WorkerId(77);
  spec.gpu = Gpu{"cpu-0", 0, "cpu", GpuKind::cpu, 0};
  spec.model.key = "m";
  spec.model.engine = "nonesuch";
  fleet.supervisor().start(spec);
  const auto gone = fleet.inbox().take<WorkerIsGone>(spec.id);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->failure.code, "engine_error");
  EXPECT_THAT(gone->failure.message, HasSubstr("libpixelfleet_engine_nonesuch.so"));
  EXPECT_FALSE(gone->permanent);
}

TEST(RealWorker, EngineFaultsBecomeTheirOwnKindOfFailure) {
  TestFleet fleet(synthetic_options());
  const WorkerId no_memory = fleet.start("demo-landscape", demo(0.05, "load:oom"));
  const WorkerId crash = fleet.start("demo-landscape", demo(0.05, "crash"));
  const WorkerId black = fleet.start("demo-landscape", demo(0.05, "black"));
  const WorkerId runs_out = fleet.start("demo-landscape", demo(0.05, "oom"));

  const auto load_failed = fleet.inbox().take<WorkerIsGone>(no_memory);
  ASSERT_TRUE(load_failed);
  EXPECT_EQ(load_failed->failure.code, "out_of_memory");

  ASSERT_TRUE(fleet.inbox().take<WorkerIsReady>(crash));
  fleet.run(crash, 1);
  const auto crashed = fleet.inbox().take<WorkerIsGone>(crash);
  ASSERT_TRUE(crashed);
  EXPECT_EQ(crashed->failure.code, "engine_died");
  EXPECT_THAT(crashed->failure.message, HasSubstr("SIGABRT"));

  ASSERT_TRUE(fleet.inbox().take<WorkerIsReady>(black));
  fleet.run(black, 1);
  const auto invalid = fleet.inbox().take<ChunkIsOver>(black);
  ASSERT_TRUE(invalid);
  EXPECT_EQ(invalid->failure.code, "invalid_output");

  ASSERT_TRUE(fleet.inbox().take<WorkerIsReady>(runs_out));
  fleet.run(runs_out, 1);
  const auto over = fleet.inbox().take<ChunkIsOver>(runs_out);
  ASSERT_TRUE(over);
  EXPECT_EQ(over->failure.code, "out_of_memory");
  const auto restarts = fleet.inbox().take<WorkerIsGone>(runs_out);  // its memory is in pieces
  ASSERT_TRUE(restarts);
  EXPECT_EQ(restarts->failure.code, "out_of_memory");
}

TEST(RealWorker, DiesWithItsServer) {
  const Command command{program_directory() + "/worker_host", {"serve", engines_directory(), "3"}, {}};
  auto server = spawn(command);
  ASSERT_TRUE(server) << server.error().message;
  std::string printed;
  pollfd readable{server->output.get(), POLLIN, 0};
  while (printed.find("ready\n") == std::string::npos) {
    ASSERT_EQ(poll(&readable, 1, 60'000), 1);
    char buffer[4096];
    const ssize_t size = read(server->output.get(), buffer, sizeof(buffer));
    ASSERT_GT(size, 0) << printed;
    printed.append(buffer, static_cast<std::size_t>(size));
  }
  std::vector<UniqueFd> workers;
  std::size_t at = 0;
  while (at < printed.size()) {
    const std::size_t end = printed.find('\n', at);
    const std::string line = printed.substr(at, end - at);
    at = end + 1;
    if (line.empty() || line.find_first_not_of("0123456789") != std::string::npos) continue;
    workers.emplace_back(static_cast<int>(syscall(__NR_pidfd_open, std::atoi(line.c_str()), 0)));
    ASSERT_TRUE(workers.back()) << line;
  }
  ASSERT_EQ(workers.size(), 3u);
  signal_process(*server, SIGKILL);
  for (const UniqueFd& worker : workers) {
    pollfd ended{worker.get(), POLLIN, 0};
    EXPECT_EQ(poll(&ended, 1, 10'000), 1);
  }
  EXPECT_EQ(reap(*server, Reap::wait)->number, SIGKILL);
}

// --- deaths, orders to end, cancelling -------------------------------------------------------------------------------

TEST(Supervisor, ReportsAKilledWorkerAtOnceAndInWords) {
  TestFleet fleet(fake_options());
  const WorkerId worker = fleet.start_ready("stops at step");
  fleet.run(worker, 1);
  ASSERT_TRUE(fleet.inbox().take<ChunkProgressed>(worker));
  kill(fleet.pid_of(worker), SIGKILL);
  const auto gone = fleet.inbox().take<WorkerIsGone>(worker);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->failure.code, "killed");
  EXPECT_THAT(gone->failure.message, HasSubstr("SIGKILL"));
  EXPECT_THAT(gone->failure.message, HasSubstr("while it made a picture"));
}

TEST(Supervisor, KeepsThePicturesThatCameBeforeADeath) {
  TestFleet fleet(fake_options());
  const WorkerId worker = fleet.start_ready("crash after the first image");
  fleet.run(worker, 3);
  EXPECT_TRUE(fleet.inbox().take<WorkerIsGone>(worker));
  EXPECT_EQ(fleet.inbox().count<ImageArrived>(worker), 1);
}

TEST(Supervisor, EndsAWorkerThatCanOnlyBeCancelledByDeath) {
  TestFleet fleet(fake_options());
  const WorkerId worker = fleet.start_ready("kill only");
  const ChunkId chunk = fleet.run(worker, 1);
  ASSERT_TRUE(fleet.inbox().take<ChunkProgressed>(worker));
  fleet.supervisor().cancel(worker, chunk);
  const auto gone = fleet.inbox().take<WorkerIsGone>(worker);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->failure.code, "cancelled");
  const auto over = fleet.inbox().take<ChunkIsOver>(worker);  // came before, it was not waited for
  ASSERT_TRUE(over);
  EXPECT_EQ(over->outcome, "cancelled");
}

TEST(Supervisor, EndsAWorkerThatIgnoresCancel) {
  auto options = fake_options();
  options.cancel_grace = std::chrono::milliseconds(50);
  TestFleet fleet(options);
  const WorkerId worker = fleet.start_ready("ignores cancel");
  const ChunkId chunk = fleet.run(worker, 1);
  fleet.supervisor().cancel(worker, chunk);
  const auto over = fleet.inbox().take<ChunkIsOver>(worker);
  ASSERT_TRUE(over);
  EXPECT_EQ(over->outcome, "cancelled");
  const auto gone = fleet.inbox().take<WorkerIsGone>(worker);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->failure.code, "cancelled");
}

TEST(Supervisor, StopEndsTheProcessWithoutAWordAndFreesTheGpuForTheNext) {
  auto options = fake_options();
  options.stop_grace = std::chrono::milliseconds(50);
  TestFleet fleet(options);
  for (const char* behaviour : {"ok", "ignores shutdown", "stops at step"}) {
    SCOPED_TRACE(behaviour);
    const GpuUuid gpu = format("gpu of {}", behaviour);
    const WorkerId old = fleet.start(behaviour, std::nullopt, gpu);
    ASSERT_TRUE(fleet.inbox().take<WorkerIsReady>(old));
    fleet.run(old, 1);
    ASSERT_TRUE(fleet.inbox().take<ChunkProgressed>(old));
    fleet.supervisor().stop(old);
    const WorkerId next = fleet.start("ok", std::nullopt, gpu);
    ASSERT_TRUE(fleet.inbox().take<WorkerIsReady>(next));
    EXPECT_EQ(fleet.pid_of(old), 0);  // the next one waited for the old process to be gone
    EXPECT_EQ(fleet.inbox().count<WorkerIsGone>(old), 0);
  }
}

TEST(Supervisor, AStoppedWorkerThatWasStillWaitingForItsGpuNeverStarts) {
  auto options = fake_options();
  options.stop_grace = std::chrono::milliseconds(50);
  TestFleet fleet(options);
  const WorkerId old = fleet.start("ignores shutdown", std::nullopt, "gpu");
  ASSERT_TRUE(fleet.inbox().take<WorkerIsReady>(old));
  fleet.supervisor().stop(old);
  const WorkerId unwanted = fleet.start("ok", std::nullopt, "gpu");
  fleet.supervisor().stop(unwanted);
  const WorkerId wanted = fleet.start("ok", std::nullopt, "gpu");
  EXPECT_TRUE(fleet.inbox().take<WorkerIsReady>(wanted));
  EXPECT_EQ(fleet.inbox().count<WorkerIsReady>(unwanted), 0);
  EXPECT_EQ(fleet.inbox().count<WorkerIsGone>(unwanted), 0);
}

TEST(Supervisor, TheDestructorEndsAndReapsEveryWorker) {
  auto options = fake_options();
  options.stop_grace = std::chrono::milliseconds(50);
  TestFleet fleet(options);
  std::vector<int> pids;
  for (const char* behaviour : {"ok", "ignores shutdown", "ok"})
    pids.push_back(fleet.pid_of(fleet.start_ready(behaviour)));
  fleet.end();
  for (const int pid : pids) {
    EXPECT_NE(kill(pid, 0), 0);
    EXPECT_EQ(errno, ESRCH);
  }
}

TEST(Supervisor, ReportsAProgramThatCannotBeStarted) {
  auto options = fake_options();
  options.program = "/nonexistent/pixelfleet";
  TestFleet fleet(options);
  const auto gone = fleet.inbox().take<WorkerIsGone>(fleet.start("ok"));
  ASSERT_TRUE(gone);
  EXPECT_THAT(gone->failure.message, HasSubstr("/nonexistent/pixelfleet"));
  EXPECT_THAT(gone->failure.message, HasSubstr("Reinstall"));
}

TEST(Supervisor, RefusesAWorkerWithoutTheSandboxThatIsRequired) {
  auto options = fake_options();
  options.sandbox = SandboxPolicy::required;
  TestFleet fleet(options);
  const auto gone = fleet.inbox().take<WorkerIsGone>(fleet.start("ok"));
  ASSERT_TRUE(gone);
  EXPECT_THAT(gone->failure.message, HasSubstr("sandbox"));
}

TEST(Supervisor, AFailedChunkLeavesItsWorkerUsable) {
  TestFleet fleet(fake_options());
  const WorkerId worker = fleet.start_ready("fails the chunk");
  fleet.run(worker, 1);
  const auto over = fleet.inbox().take<ChunkIsOver>(worker);
  ASSERT_TRUE(over);
  EXPECT_EQ(over->outcome, "failed");
  EXPECT_EQ(over->failure.code, "bad_request");
  EXPECT_THAT(over->failure.evidence, ElementsAre("error: sampler \"x\""));
  EXPECT_EQ(fleet.make(worker, 2).size(), 2u);
}

TEST(Supervisor, CarriesTheLargestChunk) {
  TestFleet fleet(fake_options());
  const WorkerId worker = fleet.start_ready("ok");
  auto request = request_for(1000, 1);
  request.settings.prompt = std::string(8192, '\x01');  // six bytes each on the wire
  request.settings.negative_prompt = request.settings.prompt;
  const ChunkId chunk = fleet.run(worker, request);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(fleet.inbox().take<ImageArrived>(worker));
    fleet.supervisor().image_taken(worker, chunk, i);
  }
  EXPECT_EQ(fleet.inbox().take<ChunkIsOver>(worker)->outcome, "done");
}

TEST(Supervisor, KeepsNoDescriptorOverThreeHundredWorkers) {
  auto options = fake_options();
  options.stop_grace = std::chrono::milliseconds(20);
  TestFleet fleet(options);
  fleet.make(fleet.start_ready("ok"), 1);
  fleet.inbox().take<WorkerIsGone>(fleet.start("crash at load"));
  const int before = open_descriptors();
  for (int i = 0; i < 50; ++i) {
    const WorkerId good = fleet.start("ok");
    const WorkerId dead = fleet.start("crash at load");
    const WorkerId rude = fleet.start("fd flood");
    const WorkerId silent = fleet.start("never hello");
    ASSERT_TRUE(fleet.inbox().take<WorkerIsReady>(good));
    ASSERT_TRUE(fleet.inbox().take<WorkerIsGone>(dead));
    ASSERT_TRUE(fleet.inbox().take<WorkerIsReady>(rude));
    fleet.run(rude, 1);
    ASSERT_TRUE(fleet.inbox().take<WorkerIsGone>(rude));
    fleet.supervisor().stop(silent);
    const GpuUuid same = format("virtual-{}", silent.value);
    const WorkerId next = fleet.start("crash at load", std::nullopt, same);  // starts when the silent one is gone
    fleet.supervisor().stop(good);
    ASSERT_TRUE(fleet.inbox().take<WorkerIsGone>(next));
    const WorkerId after = fleet.start("crash at load", std::nullopt, format("virtual-{}", good.value));
    ASSERT_TRUE(fleet.inbox().take<WorkerIsGone>(after));
  }
  EXPECT_EQ(open_descriptors(), before);
}

// --- every way to misbehave -----------------------------------------------------------------------------------------

struct Misbehaviour {
  const char* fault;
  const char* code;
  const char* words;  // of the message
};

void expect_end(TestFleet& fleet, WorkerId worker, const Misbehaviour& expected) {
  SCOPED_TRACE(expected.fault);
  const auto gone = fleet.inbox().take<WorkerIsGone>(worker);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->failure.code, expected.code) << gone->failure.message;
  EXPECT_THAT(gone->failure.message, HasSubstr(expected.words));
  EXPECT_EQ(gone->permanent, std::string_view(expected.code) == "model_unreadable");
}

// All at once on one supervisor, with a good worker among them that has to finish its pictures.
void expect_ends(const SupervisorOptions& options, const std::vector<Misbehaviour>& before_ready,
                 const std::vector<Misbehaviour>& while_making) {
  TestFleet fleet(options);
  const WorkerId good = fleet.start_ready("ok");
  const ChunkId chunk = fleet.run(good, 300, 2);
  std::vector<WorkerId> early;
  for (const Misbehaviour& entry : before_ready) early.push_back(fleet.start(entry.fault));
  std::vector<WorkerId> late;
  for (const Misbehaviour& entry : while_making) late.push_back(fleet.start_ready(entry.fault));
  for (const WorkerId worker : late) fleet.run(worker, 3);
  for (std::size_t i = 0; i < early.size(); ++i) expect_end(fleet, early[i], before_ready[i]);
  for (std::size_t i = 0; i < late.size(); ++i) expect_end(fleet, late[i], while_making[i]);
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(fleet.inbox().take<ImageArrived>(good)) << i;
    fleet.supervisor().image_taken(good, chunk, i);
  }
  EXPECT_EQ(fleet.inbox().take<ChunkIsOver>(good)->outcome, "done");
}

TEST(Misbehaviour, EveryBreachEndsThatWorkerOnly) {
  expect_ends(fake_options(),
              {{"exit before hello", "engine_died", "exit code 1"},
               {"wrong version", "protocol", "version 99"},
               {"hello twice", "protocol", "hello twice"},
               {"no hello but utf-8 garbage", "protocol", "not UTF-8"},
               {"crash at load", "engine_died", "SIGSEGV"},
               {"load failed", "model_unreadable", "truncated"},
               {"no memory to load", "out_of_memory", "to load"}},
              {{"crash at step", "engine_died", "SIGSEGV"},
               {"exits in the middle of an image", "engine_died", "without having been asked"},
               {"exit 10", "bad_request", "exit code 10"},
               {"exit 11", "out_of_memory", "to make this picture"},
               {"exit 12", "model_unreadable", "exit code 12"},
               {"exit 13", "device_error", "cannot recover"},
               {"exit 14", "invalid_output", "exit code 14"},
               {"exit 15", "protocol", "exit code 15"},
               {"exit 16", "engine_died", "lost its connection"},
               {"exit 17", "recycled", "exit code 17"},
               {"garbage frame", "protocol", "not valid JSON"},
               {"invalid utf-8", "protocol", "not UTF-8"},
               {"deep frame", "protocol", "nested"},
               {"long frame", "protocol", "longer than"},
               {"empty frame", "protocol", "empty"},
               {"fd flood", "protocol", "descriptors"},
               {"done early", "protocol", "pictures missing"},
               {"cancels by itself", "protocol", "by itself"},
               {"unknown chunk", "protocol", "not asked for"},
               {"earlier attempt", "protocol", "not asked for"},
               {"index nobody asked for", "protocol", "without being asked"},
               {"image twice", "protocol", "twice"},
               {"wrong size", "protocol", "128x64"},
               {"wrong seed", "protocol", "seed 101"},
               {"short memory", "protocol", "12287 bytes where 12288"},
               {"unsealed memory", "protocol", "not sealed"},
               {"device instead of memory", "protocol", "not a memfd"},
               {"image without memory", "protocol", "did not come"},
               {"does not wait", "protocol", "were waiting"},
               {"crash with a grandchild", "engine_died", "SIGSEGV"}});
}

TEST(Misbehaviour, SilenceEndsAWorker) {
  auto options = fake_options();
  options.hello_limit = options.load_silence_limit = options.run_silence_limit = std::chrono::milliseconds(1500);
  options.stop_grace = std::chrono::milliseconds(100);
  expect_ends(options,
              {{"never hello", "engine_hung", "did not report"}, {"hang at load", "engine_hung", "in loading"}},
              {{"stops at step", "engine_hung", "no progress"},
               {"steps repeat", "engine_hung", "no progress"},
               {"closes its socket", "protocol", "closed its connection"}});
}

TEST(Misbehaviour, AFloodOfProgressAndAClosedOutputHurtNobody) {
  TestFleet fleet(fake_options());
  const WorkerId flood = fleet.start_ready("progress flood");
  const WorkerId mute = fleet.start_ready("closes stdout");
  const ChunkId chunk = fleet.run(flood, 1);
  ASSERT_TRUE(fleet.inbox().take<ChunkProgressed>(flood));
  EXPECT_EQ(fleet.make(mute, 2).size(), 2u);
  EXPECT_TRUE(fleet.inbox().take<ImageArrived>(flood));
  fleet.supervisor().image_taken(flood, chunk, 0);
  EXPECT_EQ(fleet.inbox().take<ChunkIsOver>(flood)->outcome, "done");
}

TEST(Misbehaviour, TheEvidenceOfALoudDeathIsItsLastErrorLine) {
  TestFleet fleet(fake_options());
  const WorkerId worker = fleet.start_ready("loud abort");
  fleet.run(worker, 1);
  const auto gone = fleet.inbox().take<WorkerIsGone>(worker);
  ASSERT_TRUE(gone);
  EXPECT_THAT(gone->failure.message, HasSubstr("SIGABRT"));
  EXPECT_THAT(gone->failure.evidence, ElementsAre("GGML_ASSERT(ok) failed"));
}

TEST(WorkerEnvironment, CarriesWhatDriversReadAndNothingOfOurs) {
  EXPECT_THAT(filter_environment({"PATH=/bin", "PIXELFLEET_TOKEN=secret", "AWS_SECRET=x", "LC_ALL=C",
                                  "CUDA_CACHE_PATH=/c", "SSH_AUTH_SOCK=/s", "LD_LIBRARY_PATH=/l", "BROKEN"}),
              ElementsAre("PATH=/bin", "LC_ALL=C", "CUDA_CACHE_PATH=/c", "LD_LIBRARY_PATH=/l"));
}

}  // namespace
}  // namespace pixelfleet::workers
