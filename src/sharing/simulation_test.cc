// A day on a lab's machine: others come and go, cards get hot, some gpus have quiet hours, and we work where we may.
//
// The world knows who really is on a gpu; Sharing sees samples that come up to two seconds late, with our process ids
// visible, of another namespace, or not at all. An auditor checks after each second what we do. The seed is printed;
// PIXELFLEET_SHARING_SEED=N repeats a run.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <map>
#include <set>

#include "base/format.h"
#include "base/rng.h"
#include "sharing/test_rig.h"

namespace pixelfleet::sharing {
namespace {

constexpr int kDay = 24 * 3600;
constexpr int kSampleDelay = 2;        // at most
constexpr int kNoticed = 8;            // delay, figures that must agree, what a worker's end hides
constexpr int kNoticedByFigures = 34;  // also a load hides them
constexpr int kLongestChunk = 40;
constexpr int kWorkerEnds = 2;
constexpr int kMostTurnsPerHour = 26;  // a quiet time of a minute, 90 s, 135 s ... ten minutes, twice each
constexpr int kMostTurnsOfHeat = 120;  // half a minute to cool down, half a minute to get hot; workers stay

enum class PidView { visible, other_namespace, unlisted };

struct Truth {  // of one gpu
  GpuUuid uuid;
  Share share = Share::polite;
  PidView pids = PidView::visible;

  // Others.
  std::int64_t theirs = 0;
  int theirs_until = 0;  // or, while nobody is there, since when; in seconds of the day
  int theirs_since = 0;
  int alone_since = 0;
  int left_at = 0;  // those who count
  double their_load = 0;

  double celsius = 45;
  double heat_of_work = 0;  // how many degrees it gains at full load
  int hot_for = 0;

  // Ours.
  int worker = 0;  // 0: none
  enum class Stage { none, loading, ready, running, ending } stage = Stage::none;
  int stage_until = 0;
  std::int64_t resting = 0, peak = 0;
  int started_at = 0;  // the chunk

  // As Sharing ordered.
  enum class Door { closed, open } door = Door::closed;
  Workers workers = Workers::keep;
  std::vector<int> turns;  // seconds of each opening or closing
  int door_since = 0;

  std::deque<GpuSample> samples;  // taken and not delivered

  // Without names, others that are smaller may be what our figures are off by, or the peak of our chunk.
  bool others_compute() const { return theirs >= (pids == PidView::visible ? 2 : 6) * kGiB; }
  // Of a minute; figures may hide them for some seconds when a worker of ours ends.
  int quiet() const { return pids == PidView::visible ? 59 : 50; }
  int noticed() const { return pids == PidView::visible ? kNoticed : kNoticedByFigures; }
  std::int64_t holds() const {
    switch (stage) {
      case Stage::none: return 0;
      case Stage::loading: return resting / 2;
      case Stage::running: return peak;
      case Stage::ready:
      case Stage::ending: return resting;
    }
    return 0;
  }
};

class Lab {
 public:
  Lab(std::uint64_t seed, PidView pids) : rng_(seed) {
    const std::array<Share, 6> shares = {Share::polite,    Share::polite, Share::polite,
                                         Share::idle_only, Share::always, Share::polite};
    settings_ = fleet();
    for (std::size_t i = 0; i < shares.size(); ++i) {
      Truth gpu;
      gpu.uuid = format("gpu-{}", i);
      gpu.share = shares[i];
      gpu.pids = pids;
      gpu.theirs_until = second_between(0, 3000);
      settings_.gpus[gpu.uuid].share = gpu.share;
      gpus_.push_back(gpu);
    }
    gpus_[2].heat_of_work = 60;                                             // 105 degrees, were it let
    settings_.gpus["gpu-5"].quiet_hours = {{22 * 60, 6 * 60}, {780, 840}};  // the night and an hour at noon
    told_to(SettingsChanged{settings_});
    told_to(LocalTimeTold{});
    for (const Truth& gpu : gpus_) told_to(GpuArrived{make_gpu(gpu.uuid)});
  }

  void run(int for_seconds) {
    for (second_ = 0; second_ < for_seconds && !testing::Test::HasFailure(); ++second_) {
      now_ = kMonday + std::chrono::seconds{second_};
      if (wake_at_ && *wake_at_ <= now_) {
        wake_at_.reset();
        told_to(TimerFired{});
      }
      for (Truth& gpu : gpus_) {
        others_move(gpu);
        we_move(gpu);
        heat_moves(gpu);
        take_sample(gpu);
        audit(gpu);
      }
    }
  }

  std::map<std::string, int> counts;

 private:
  int second_between(int from, int to) {
    return second_ + from + static_cast<int>(rng_.below(static_cast<std::uint64_t>(to - from)));
  }
  Truth& find(const GpuUuid& uuid) {
    return *std::find_if(gpus_.begin(), gpus_.end(), [&](const Truth& gpu) { return gpu.uuid == uuid; });
  }

  void told_to(const Event& event) {
    for (const Action& action : sharing_.step(event, now_)) {
      if (const auto* wake = std::get_if<WakeAt>(&action)) wake_at_ = wake->at;
      if (const auto* open = std::get_if<Open>(&action)) {
        Truth& gpu = find(open->gpu);
        turn(gpu, Truth::Door::open);
        gpu.workers = Workers::keep;
        audit_opening(gpu);
      }
      if (const auto* close = std::get_if<Close>(&action)) on_close(*close);
    }
  }
  void on_close(const Close& close) {
    Truth& gpu = find(close.gpu);
    ++counts[format("closed: {}", name(close.reason))];
    turn(gpu, Truth::Door::closed);
    if (close.workers == Workers::end) gpu.workers = Workers::end;
    const bool by_others =
        std::holds_alternative<OthersCompute>(close.reason) || std::holds_alternative<BusyByOthers>(close.reason);
    if (by_others && gpu.share == Share::always) fail(gpu, "is always ours, and was closed for others");
    if (close.running == Running::abandon && gpu.stage == Truth::Stage::running) gpu.stage_until = second_;
  }
  void turn(Truth& gpu, Truth::Door door) {
    if (gpu.door == door) return;
    gpu.door = door;
    gpu.door_since = second_;
    gpu.turns.push_back(second_);
  }

  // --- the world ---

  void others_move(Truth& gpu) {
    if (second_ < gpu.theirs_until) {
      // Training varies what it holds; a person at a notebook stops computing now and then.
      if (gpu.theirs > 0 && rng_.chance(0.01)) gpu.their_load = rng_.unit();
      return;
    }
    if (gpu.theirs > 0) {
      gpu.alone_since = second_;
      if (gpu.theirs >= kGiB) gpu.left_at = second_;
      gpu.theirs = 0;
      gpu.their_load = 0;
      gpu.theirs_until = rng_.chance(0.3) ? second_between(20, 400) : second_between(600, 7200);
      return;
    }
    const std::int64_t room = kTotal - gpu.holds();
    const bool tiny = rng_.chance(0.2);  // a viewer, which is nobody
    const std::int64_t wish = tiny ? 300 * kMiB : 2 * kGiB + static_cast<std::int64_t>(rng_.below(12)) * kGiB;
    gpu.theirs = std::min(wish, room);
    if (gpu.theirs >= kGiB - kGiB / 4 && gpu.theirs < 2 * kGiB) gpu.theirs = 300 * kMiB;  // too small to argue about
    gpu.their_load = gpu.theirs >= 2 * kGiB ? 0.5 : 0.0;
    gpu.theirs_since = second_;
    gpu.theirs_until = rng_.chance(0.3) ? second_between(15, 120) : second_between(600, 5400);
    ++counts["arrivals"];
  }

  void we_move(Truth& gpu) {
    using Stage = Truth::Stage;
    switch (gpu.stage) {
      case Stage::none:
        if (gpu.door == Truth::Door::open && room_for(gpu, 13 * kGiB) && rng_.chance(0.2)) start_worker(gpu);
        return;
      case Stage::loading:
        if (gpu.workers == Workers::end) return end_worker(gpu);
        if (second_ < gpu.stage_until) return;
        gpu.stage = Stage::ready;
        told_to(WorkerReady{WorkerId{gpu.worker}});
        told_to(WorkerMeasured{WorkerId{gpu.worker}, gpu.resting, gpu.peak});
        return;
      case Stage::ready:
        if (gpu.workers == Workers::end) return end_worker(gpu);
        if (gpu.door == Truth::Door::open && room_for(gpu, gpu.peak - gpu.resting) && rng_.chance(0.4))
          start_chunk(gpu);
        return;
      case Stage::running:
        if (second_ < gpu.stage_until) return;
        gpu.stage = Stage::ready;
        told_to(ChunkEnded{WorkerId{gpu.worker}});
        ++counts["chunks"];
        return;
      case Stage::ending:
        if (second_ < gpu.stage_until) return;
        gpu.stage = Stage::none;
        told_to(WorkerEnded{WorkerId{gpu.worker}});
        return;
    }
  }
  bool room_for(const Truth& gpu, std::int64_t bytes) const { return gpu.holds() + gpu.theirs + bytes <= kTotal; }
  void start_worker(Truth& gpu) {
    audit_start(gpu);
    gpu.worker = ++last_worker_;
    gpu.resting = 6 * kGiB + static_cast<std::int64_t>(rng_.below(4)) * kGiB;
    gpu.peak = gpu.resting + 3 * kGiB;
    gpu.stage = Truth::Stage::loading;
    gpu.stage_until = second_between(5, 20);
    told_to(WorkerStarted{WorkerId{gpu.worker}, gpu.uuid, {gpu.resting - 300 * kMiB, 3 * kGiB, 300 * kMiB}});
    told_to(WorkerSpawned{WorkerId{gpu.worker}, gpu.worker});
  }
  void start_chunk(Truth& gpu) {
    audit_start(gpu);
    gpu.stage = Truth::Stage::running;
    gpu.started_at = second_;
    gpu.stage_until = second_between(3, kLongestChunk);
    told_to(ChunkStarted{WorkerId{gpu.worker}, JobId{second_}});
  }
  void end_worker(Truth& gpu) {
    gpu.stage = Truth::Stage::ending;
    gpu.stage_until = second_ + kWorkerEnds;
    if (gpu.others_compute()) ++counts["yields"];
  }

  void heat_moves(Truth& gpu) {
    const double load = gpu.stage == Truth::Stage::running ? 1.0 : gpu.their_load;
    const double goal = 45 + load * (gpu.heat_of_work > 0 ? gpu.heat_of_work : 30);
    gpu.celsius += (goal - gpu.celsius) * 0.02 + (rng_.unit() - 0.5);
  }

  void take_sample(Truth& gpu) {
    GpuSample sample = calm(gpu.uuid);
    const int offset = gpu.pids == PidView::visible ? 0 : 1'000'000;
    if (gpu.holds() > 0) add_process(sample, gpu.worker + offset, gpu.holds());
    if (gpu.theirs > 0) add_process(sample, 500'000, gpu.theirs);
    if (gpu.pids == PidView::unlisted) sample.detail.processes.reset();
    sample.temperature_celsius = gpu.celsius;
    sample.utilization_ratio = gpu.stage == Truth::Stage::running ? 1.0 : gpu.their_load;
    if (rng_.chance(0.01)) sample.memory_used_bytes = INT64_MAX;
    if (rng_.chance(0.01)) sample.temperature_celsius = rng_.chance(0.5) ? 255 : -40;
    if (rng_.chance(0.01)) sample.detail.processes.reset();
    gpu.samples.push_back(std::move(sample));
    const auto late = static_cast<std::size_t>(rng_.below(kSampleDelay + 1));
    while (gpu.samples.size() > late) {
      told_to(GpuSampled{gpu.samples.front()});
      gpu.samples.pop_front();
    }
  }

  // --- the auditor ---

  void fail(const Truth& gpu, const std::string& what) {
    ADD_FAILURE() << gpu.uuid << " at second " << second_ << ": " << what << "; " << gpu.theirs / kMiB
                  << " MiB of others since " << gpu.theirs_since << ", alone since " << gpu.alone_since;
  }
  bool shares(const Truth& gpu) const { return gpu.share != Share::always; }
  int here_for(const Truth& gpu) const { return gpu.others_compute() ? second_ - gpu.theirs_since : -1; }

  void audit_start(const Truth& gpu) {
    if (shares(gpu) && here_for(gpu) > gpu.noticed()) fail(gpu, "starts work where others compute");
    if (gpu.hot_for > kNoticed + 5) fail(gpu, "starts work while it is too hot");
    if (gpu.uuid == "gpu-5" && is_quiet()) fail(gpu, "starts work in its quiet hours");
  }
  void audit_opening(const Truth& gpu) {
    if (shares(gpu) && here_for(gpu) > gpu.noticed()) fail(gpu, "opens while others compute");
    const bool early = second_ - gpu.left_at < gpu.quiet() && gpu.theirs == 0;
    if (shares(gpu) && early && left_for_them_.contains(gpu.uuid)) fail(gpu, "opens before the quiet time is over");
    left_for_them_.erase(gpu.uuid);
  }
  bool is_quiet() const {
    const int minute = second_ / 60 % 1440;
    return minute >= 22 * 60 || minute < 6 * 60 || (minute >= 780 && minute < 840);
  }

  void audit(Truth& gpu) {
    if (shares(gpu) && here_for(gpu) > gpu.noticed()) left_for_them_.insert(gpu.uuid);
    const int grace = gpu.noticed() + (gpu.share == Share::polite ? kLongestChunk : 1) + kWorkerEnds + 2;
    if (shares(gpu) && here_for(gpu) > grace && gpu.stage != Truth::Stage::none) fail(gpu, "does not leave");
    // Back at the latest after the longest quiet time, unless hot or at night.
    const bool nothing_against = gpu.theirs == 0 && gpu.heat_of_work <= 0 && !(gpu.uuid == "gpu-5" && is_quiet());
    const int alone_for = second_ - std::max(gpu.alone_since, gpu.uuid == "gpu-5" ? quiet_ended() : 0);
    if (nothing_against && gpu.door == Truth::Door::closed && alone_for > 600 + gpu.noticed())
      fail(gpu, "does not come back");
    gpu.hot_for = gpu.celsius >= 86.5 ? gpu.hot_for + 1 : 0;
    std::erase_if(gpu.turns, [&](int at) { return at <= second_ - 3600; });
    const int most = gpu.heat_of_work > 0 ? kMostTurnsOfHeat : kMostTurnsPerHour;
    if (static_cast<int>(gpu.turns.size()) > most) fail(gpu, "opens and closes too often");
    if (gpu.heat_of_work <= 0) most_turns_ = std::max(most_turns_, static_cast<int>(gpu.turns.size()));
    counts["most turns in an hour"] = most_turns_;
    if (gpu.door == Truth::Door::open) ++counts["open seconds"];
  }
  int quiet_ended() const { return second_ / 60 >= 840 ? 840 * 60 : 360 * 60; }

  Rng rng_;
  Settings settings_;
  Sharing sharing_{fleet()};
  std::vector<Truth> gpus_;
  std::set<GpuUuid> left_for_them_;
  std::optional<Instant> wake_at_;
  Instant now_ = kMonday;
  int second_ = 0;
  int last_worker_ = 0;
  int most_turns_ = 0;
};

class ADayInTheLab : public testing::TestWithParam<PidView> {};

TEST_P(ADayInTheLab, NobodyIsDisturbedAndNoGpuIsForgotten) {
  const char* asked = std::getenv("PIXELFLEET_SHARING_SEED");
  const std::uint64_t seed = asked != nullptr ? std::strtoull(asked, nullptr, 10) : random_seed() % 1'000'000;
  SCOPED_TRACE(format("PIXELFLEET_SHARING_SEED={}", seed));
  Lab lab(seed, GetParam());
  lab.run(GetParam() == PidView::visible ? kDay : kDay / 3);
  std::cout << "seed " << seed << ":";
  for (const auto& [what, count] : lab.counts) std::cout << " " << what << " " << count << ",";
  std::cout << "\n";
  EXPECT_GT(lab.counts["yields"], 5);
  EXPECT_GT(lab.counts["closed: too_hot"], 5);
  EXPECT_GE(lab.counts["closed: quiet_hours"], 1);
  EXPECT_GT(lab.counts["chunks"], 1000);
}

std::string name_of(const testing::TestParamInfo<PidView>& view) {
  switch (view.param) {
    case PidView::visible: return "WithVisibleProcesses";
    case PidView::other_namespace: return "InAContainer";
    case PidView::unlisted: return "WithoutAList";
  }
  return "";
}
INSTANTIATE_TEST_SUITE_P(Sharing, ADayInTheLab,
                         testing::Values(PidView::visible, PidView::other_namespace, PidView::unlisted), name_of);

}  // namespace
}  // namespace pixelfleet::sharing
