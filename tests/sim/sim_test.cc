// Thousands of random histories, each audited step by step; and planted bugs, each of which the auditor must find.
//
//   PIXELFLEET_SIM_SEEDS=20000   how many histories (PIXELFLEET_SIM_FROM: from this seed instead of 1)
//   PIXELFLEET_SIM_SEED=4711     this one only, with its trace
#include <gmock/gmock.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <utility>

#include "base/format.h"
#include "world.h"

namespace pixelfleet::sim {
namespace {

using namespace scheduler;  // NOLINT(google-build-using-namespace): the words of events.h

constexpr std::uint64_t kDefaultSeeds = 1000;

std::optional<std::uint64_t> number_from_environment(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

std::string last_lines(const std::vector<std::string>& trace, std::size_t count) {
  std::string text;
  for (std::size_t i = trace.size() > count ? trace.size() - count : 0; i < trace.size(); ++i) text += trace[i] + "\n";
  return text;
}

// A violation with what led to it.
std::string explain(Options options, const std::string& violation) {
  options.trace = Trace::on;
  const Outcome again = run_history(options);
  return format("seed {}: {}\nrun again with PIXELFLEET_SIM_SEED={}; the last lines of the history:\n{}", options.seed,
                violation, options.seed, last_lines(again.trace, 40));
}

TEST(Simulation, EveryHistoryKeepsEveryPromise) {
  if (const auto seed = number_from_environment("PIXELFLEET_SIM_SEED")) {
    Options options{.seed = *seed, .trace = Trace::on};
    const Outcome outcome = run_history(options);
    for (const std::string& line : outcome.trace) std::cout << line << '\n';
    ASSERT_FALSE(outcome.violation) << *outcome.violation;
    return;
  }
  const std::uint64_t seeds = number_from_environment("PIXELFLEET_SIM_SEEDS").value_or(kDefaultSeeds);
  const std::uint64_t from = number_from_environment("PIXELFLEET_SIM_FROM").value_or(1);
  Outcome sum;
  for (std::uint64_t seed = from; seed < from + seeds; ++seed) {
    const Options options{.seed = seed};
    const Outcome outcome = run_history(options);
    ASSERT_FALSE(outcome.violation) << explain(options, *outcome.violation);
    sum.steps += outcome.steps;
    sum.restarts += outcome.restarts;
    sum.published += outcome.published;
    for (const auto& [state, count] : outcome.ended) sum.ended[state] += count;
  }
  std::cout << format("{} histories, {} steps, {} restarts; jobs: {} done, {} failed, {} cancelled; {} pictures\n",
                      seeds, sum.steps, sum.restarts, sum.ended[JobState::done], sum.ended[JobState::failed],
                      sum.ended[JobState::cancelled], sum.published);
  if (seeds >= 100) {  // the storm must blow: a history in which nothing happens proves nothing
    EXPECT_GT(sum.ended[JobState::done], static_cast<int>(seeds));
    EXPECT_GT(sum.ended[JobState::failed], static_cast<int>(seeds / 2));
    EXPECT_GT(sum.ended[JobState::cancelled], static_cast<int>(seeds / 2));
    EXPECT_GT(sum.restarts, static_cast<std::int64_t>(seeds / 2));
  }
}

TEST(Simulation, TheSameSeedGivesTheSameActionsAlsoFromCopies) {
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    const Outcome first = run_history({.seed = seed, .hash = Options::Hash::on});
    const Outcome again = run_history({.seed = seed, .hash = Options::Hash::on});
    const Outcome copied = run_history({.seed = seed, .hash = Options::Hash::on, .copying = Copying::before_each_step});
    ASSERT_EQ(first.trace_hash, again.trace_hash) << "seed " << seed;
    ASSERT_EQ(first.trace_hash, copied.trace_hash) << "seed " << seed << ": a copy acts unlike its original";
    ASSERT_NE(first.trace_hash, 0u);
  }
}

// --- planted bugs ---------------------------------------------------------------------------------------------

// What the auditor says in so many histories, each up to its first violation; every promise that is broken, one a line.
std::string found_within(int histories, Options options) {
  std::string found;
  for (int i = 1; i <= histories; ++i) {
    options.seed = static_cast<std::uint64_t>(i);
    const Outcome outcome = run_history(options);
    if (outcome.violation) found += *outcome.violation + '\n';
  }
  return found;
}

// The first one.
std::string first_found_within(int histories, Options options) {
  for (int i = 1; i <= histories; ++i) {
    options.seed = static_cast<std::uint64_t>(i);
    const Outcome outcome = run_history(options);
    if (outcome.violation) return *outcome.violation;
  }
  return "nothing";
}

template <class A>
void drop(std::vector<Action>& actions) {
  std::erase_if(actions, [](const Action& action) { return std::holds_alternative<A>(action); });
}

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr int kEnough = 80;

TEST(PlantedBug, AChunkIsNotAbandonedWhenItsWorkerDies) {
  Options options;
  options.distort_actions = [](std::vector<Action>& actions) { drop<AbandonChunk>(actions); };
  EXPECT_THAT(found_within(kEnough, options),
              AnyOf(HasSubstr("stays open on a worker that is gone"), HasSubstr("ended under its chunk")));
}

TEST(PlantedBug, APublishedPictureIsMadeAgain) {
  Options options;
  int published = 0;
  options.distort_event = [&published](Event& event) {
    const auto* picture = std::get_if<ImagePublished>(&event);
    if (picture != nullptr && ++published % 20 == 0) event = Event{ImageRejected{picture->job, picture->index}};
  };
  EXPECT_THAT(found_within(kEnough, options),
              AnyOf(HasSubstr("does not make exactly the missing pictures"), HasSubstr("has all its pictures")));
}

TEST(PlantedBug, MemoryIsOversold) {
  Options options;
  options.distort_event = [](Event& event) {
    if (auto* arrived = std::get_if<GpuArrived>(&event)) arrived->gpu.memory_total_bytes *= 2;
  };
  EXPECT_THAT(found_within(kEnough, options), HasSubstr("oversold"));
}

TEST(PlantedBug, AWorkerThatShouldGoStays) {
  Options options;
  options.distort_actions = [](std::vector<Action>& actions) { drop<StopWorker>(actions); };
  EXPECT_THAT(found_within(kEnough, options), AnyOf(HasSubstr("oversold"), HasSubstr("is not shown as it is"),
                                                    HasSubstr("holds"), HasSubstr("unused but")));
}

TEST(PlantedBug, AJobEndsTwice) {
  Options options;
  options.distort_actions = [](std::vector<Action>& actions) {
    for (std::size_t i = 0; i < actions.size(); ++i) {
      const auto* set = std::get_if<SetJobState>(&actions[i]);
      if (set == nullptr || set->state != JobState::done) continue;
      const Action twice = actions[i];
      actions.insert(actions.begin() + static_cast<std::ptrdiff_t>(i), twice);
      return;
    }
  };
  EXPECT_THAT(found_within(kEnough, options), HasSubstr("ends twice"));
}

TEST(PlantedBug, TheNewestJobGoesFirst) {
  Options options;
  options.distort_event = [](Event& event) {
    if (auto* job = std::get_if<JobSubmitted>(&event)) job->job.rank = -static_cast<double>(job->job.id.value);
  };
  EXPECT_THAT(found_within(kEnough, options), HasSubstr("starts before job"));
}

TEST(PlantedBug, AChunkIsNeverStarted) {
  Options options;
  options.distort_actions = [](std::vector<Action>& actions) { drop<StartChunk>(actions); };
  EXPECT_THAT(found_within(kEnough, options), AnyOf(HasSubstr("not in the state shown"), HasSubstr("runs nowhere")));
}

TEST(PlantedBug, NobodyAsksToBeWokenAfterABackOff) {
  Options options;
  options.distort_actions = [](std::vector<Action>& actions) { drop<WakeAt>(actions); };
  EXPECT_THAT(found_within(kEnough, options), HasSubstr("waits while nothing happens and nothing will"));
}

TEST(PlantedBug, DeathsAreNotCounted) {
  Options options;
  options.distort_event = [](Event& event) {
    if (auto* lost = std::get_if<WorkerLost>(&event)) lost->blame = Blame::none;
  };
  EXPECT_THAT(found_within(kEnough, options), HasSubstr("worker deaths"));
}

TEST(PlantedBug, ARestartForgetsHolds) {
  Options options;
  int submitted = 0;
  options.distort_event = [&submitted](Event& event) {
    if (auto* job = std::get_if<JobSubmitted>(&event); job != nullptr && ++submitted % 2 == 0) job->job.held.reset();
  };
  EXPECT_THAT(found_within(kEnough, options), AnyOf(HasSubstr("differs from"), HasSubstr("is held not, expected")));
}

TEST(PlantedBug, ARestartForgetsCancels) {
  Options options;
  options.distort_event = [](Event& event) {
    if (auto* job = std::get_if<JobSubmitted>(&event)) job->job.cancel_requested = false;
  };
  EXPECT_THAT(first_found_within(20 * kEnough, options),
              AnyOf(HasSubstr("differs from"), HasSubstr("waits though it was")));
}

TEST(PlantedBug, AnIdleGpuIsOverlooked) {
  Options options;
  options.distort_event = [](Event& event) {  // the scheduler believes in a smaller limit
    auto* changed = std::get_if<PolicyChanged>(&event);
    if (changed != nullptr && changed->policy.multi_gpu) changed->policy.max_gpus = 1;
  };
  EXPECT_THAT(found_within(kEnough, options), HasSubstr("other gpus are in use"));
}

// The scheduler believes in another policy than the auditor.
Options with_policy(std::function<void(Policy&)> change) {
  Options options;
  options.distort_event = [change = std::move(change)](Event& event) {
    if (auto* changed = std::get_if<PolicyChanged>(&event)) change(changed->policy);
  };
  return options;
}

TEST(PlantedBug, AGpuLeavesWorkBeforeItsLoadWasWorthIt) {
  EXPECT_THAT(found_within(kEnough, with_policy([](Policy& policy) { policy.tuning.quantum = 0.0; })),
              HasSubstr("and leaves work for"));
}

TEST(PlantedBug, AnEngineThatCannotLoadsWhileItRuns) {
  const auto believe = [](Policy& policy) { policy.load_beside_run = LoadBesideRun::yes; };
  EXPECT_THAT(found_within(kEnough, with_policy(believe)),
              AllOf(HasSubstr("loads beside a chunk"), HasSubstr("runs beside a load")));
}

TEST(PlantedBug, APinnedModelIsPushedOut) {
  EXPECT_THAT(found_within(kEnough, with_policy([](Policy& policy) { policy.pinned_models.clear(); })),
              HasSubstr("pinned model"));
}

TEST(PlantedBug, HostMemoryIsOversold) {
  EXPECT_THAT(found_within(kEnough, with_policy([](Policy& policy) { policy.host_memory_bytes *= 2; })),
              HasSubstr("host memory is oversold"));
}

TEST(PlantedBug, AFileIsReadWhileAnotherIs) {
  Options options;
  options.distort_event = [](Event& event) {  // the scheduler believes that the reading failed
    if (auto* staged = std::get_if<ModelStaged>(&event)) event = Event{ModelUnstaged{staged->model}};
  };
  EXPECT_THAT(found_within(kEnough, options), HasSubstr("is staged twice"));
}

TEST(PlantedBug, AJobIsCutThoughThatIsOff) {
  EXPECT_THAT(found_within(kEnough, with_policy([](Policy& policy) { policy.tuning.splitting = Part::on; })),
              HasSubstr("does not make exactly the missing pictures"));
}

TEST(PlantedBug, ARestartForgetsPauses) {
  Options options;
  options.distort_event = [](Event& event) {
    if (std::holds_alternative<QueuePaused>(event)) event = Event{TimerFired{}};
  };
  EXPECT_THAT(found_within(kEnough, options), AnyOf(HasSubstr("differs from"), HasSubstr("expected paused")));
}

TEST(PlantedBug, AMovedJobStaysWhereItWas) {
  Options options;
  options.distort_actions = [](std::vector<Action>& actions) { drop<SetJobOrder>(actions); };
  EXPECT_THAT(found_within(kEnough, options), HasSubstr("was moved, but the order is not what was asked for"));
}

TEST(PlantedBug, AJobOvertakesOneThatWasMovedInFrontOfIt) {
  Options options;
  options.distort_event = [](Event& event) {  // only the auditor hears of ranks
    if (auto* job = std::get_if<JobSubmitted>(&event)) job->job.rank = 0.0;
  };
  EXPECT_THAT(found_within(kEnough, options), HasSubstr("which was moved in front of it"));
}

TEST(PlantedBug, TheSchedulerIsWokenAllTheTime) {
  Options options;
  options.distort_actions = [](std::vector<Action>& actions) {
    for (Action& action : actions) {
      if (auto* wake = std::get_if<WakeAt>(&action)) wake->at = Instant{std::chrono::seconds{1'700'000'000}};
    }
  };
  EXPECT_THAT(found_within(kEnough, options), HasSubstr("a wish to be woken in the past"));
}

}  // namespace
}  // namespace pixelfleet::sim
