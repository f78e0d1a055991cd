// How a worker process ended, and what that means to the job it was making.
//
// Exit codes are the contract between worker_main and the supervisor (reliability: worker exit contract).
#pragma once

#include <string>
#include <string_view>

#include "domain/job.h"

namespace pixelfleet::workers {

namespace exit_code {
inline constexpr int kClean = 0;
inline constexpr int kBadRequest = 10;
inline constexpr int kOutOfMemory = 11;
inline constexpr int kModelUnreadable = 12;
inline constexpr int kStickyDevice = 13;  // every later call of this process would fail
inline constexpr int kInvalidOutput = 14;
inline constexpr int kProtocol = 15;
inline constexpr int kParentGone = 16;
inline constexpr int kRecycle = 17;
}  // namespace exit_code

enum class EndedBy { exit, signal, unknown };

struct ExitStatus {
  EndedBy by = EndedBy::unknown;
  int number = 0;  // exit code or signal
};

// What the process was doing; "could not load" and "died while making pictures" are different messages.
enum class Doing { starting, loading, waiting, making };

struct Verdict {
  JobError error;          // without evidence
  bool permanent = false;  // trying again will not help
};

// Codes: bad_request, out_of_memory, model_unreadable, engine_died, device_error, killed, invalid_output, protocol,
// recycled.
Verdict judge_exit(ExitStatus status, Doing doing, const std::string& model, const std::string& gpu);

// "exit code 11", "signal SIGSEGV".
std::string describe(ExitStatus status);

}  // namespace pixelfleet::workers
