// Turn: one step of Health, from an event to its actions. The parts:
//
//   turn.cc         what each event means
//   states.cc       the state that follows from what is known of a gpu, its row and its work; what time brings
//   attribution.cc  who is to blame; the breaker
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "health/health.h"

namespace pixelfleet::health {

inline constexpr Duration kFaultWindow = std::chrono::minutes{10};
inline constexpr Duration kDrainDeadline = std::chrono::seconds{30};
inline constexpr Duration kCanaryDeadline = std::chrono::minutes{5};
inline constexpr Duration kCanaryRetry = std::chrono::seconds{30};
inline constexpr Duration kBreakerWindow = std::chrono::minutes{5};
inline constexpr Duration kCleanTime = std::chrono::hours{24};
inline constexpr Duration kXidAfterEnd = std::chrono::seconds{10};  // an Xid may be told after the worker's end
inline constexpr std::size_t kProbationJobs = 3;

class Turn {
 public:
  Turn(Memory& memory, Instant now, std::vector<Action>& actions) : memory_(memory), now_(now), actions_(actions) {}

  void run(const Event& event);

  // Of a gpu whose state nobody told yet.
  static State state_of(const GpuMemory& gpu);
  static GpuMemory::Permission permission_of(State state);

 private:
  using Lines = std::vector<std::string>;

  // turn.cc
  void on(const GpuSeen& event);
  void on(const GpuLost& event);
  void on(const MachineBooted& event);
  void on(const XidReported& event);
  void on(const Throttled& event);
  void on(const ChunkStarted& event);
  void on(const StepMade& event);
  void on(const ChunkDone& event);
  void on(const ChunkDropped& event);
  void on(const WorkerFailed& event);
  void on(const WorkersReaped& event);
  void on(const CanaryEnded& event);
  void on(const OperatorDrained& event);
  void on(const OperatorRetired& event);
  void on(const OperatorResumed& event);
  void on(const ModelWorked& event);
  void on(const ModelReplaced& event);
  void on(const JobForgotten& event);
  void on(const TimerFired&) {}
  GpuMemory* find(const GpuUuid& gpu);
  GpuMemory* find_for_operator(const GpuUuid& gpu);
  void refuse(const GpuMemory& gpu, std::string why);
  static void note(GpuMemory& gpu, std::string line);

  // states.cc
  enum class BackOff { longer, none };
  void take_out(GpuMemory& gpu, BackOff back_off);
  void break_down(GpuMemory& gpu, Hardware hardware, Lines evidence);
  void back_in_quarantine(GpuMemory& gpu, Reason reason, Lines evidence);
  void settle(GpuMemory& gpu, Reason reason, Lines evidence = {});
  void permit(GpuMemory& gpu);
  void try_another_gpu();
  void pass_time();
  void pass_time(GpuMemory& gpu);
  void ask_to_wake();
  static bool awaits_canary(const GpuMemory& gpu);

  // attribution.cc
  void accuse(GpuMemory& gpu, const WorkerFailed& failure, const Lines& evidence);
  void accuse_by_xid(GpuMemory& gpu, JobId job, int number);
  bool job_is_guilty(const GpuMemory& gpu, const WorkerFailed& failure, const Lines& evidence);
  bool works_elsewhere(const GpuMemory& gpu, const ModelKey& key) const;
  bool model_is_guilty(const GpuMemory& gpu, const WorkerFailed& failure, const Lines& evidence);
  void add_fault(GpuMemory& gpu, Fault fault, Lines evidence);
  template <class Matches>
  void take_back(Matches matches, const Lines& evidence);
  static bool holds(Reason verdict, const GpuMemory& gpu);
  bool may_quarantine(const GpuMemory& gpu, const Fault& fault);
  void count_departure(const GpuMemory& gpu, FaultClass fault, const ModelKey& model, Phase phase);
  static Suspect suspect_of(FaultClass fault, const std::vector<Departure>& departures);
  void clear_alarms();

  Memory& memory_;
  const Instant now_;
  std::vector<Action>& actions_;
};

}  // namespace pixelfleet::health
