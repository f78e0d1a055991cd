#include "workers/exit_status.h"

#include <csignal>
#include <cstring>

#include "base/format.h"

namespace pixelfleet::workers {
namespace {

std::string_view while_doing(Doing doing) {
  switch (doing) {
    case Doing::starting: return "while it started";
    case Doing::loading: return "while it loaded the model";
    case Doing::waiting: return "while it waited for work";
    case Doing::making: return "while it made a picture";
  }
  return "";
}

std::string_view likely_cause(ExitStatus status) {
  if (status.by == EndedBy::signal) {
    switch (status.number) {
      case SIGABRT: return "the engine gave up on an internal check";
      case SIGSEGV:
      case SIGBUS:
      case SIGFPE:
      case SIGILL: return "the engine crashed";
      case SIGKILL: return "something outside killed it; most often the system had no memory left";
      case SIGSYS: return "it made a system call that its sandbox forbids";
      default: return "something outside ended it";
    }
  }
  switch (status.number) {
    case exit_code::kClean: return "it ended without having been asked to";
    case exit_code::kStickyDevice: return "the device reported an error from which a process cannot recover";
    case exit_code::kParentGone: return "it lost its connection to the server";
    default: return "the engine ended its process";
  }
}

}  // namespace

std::string describe(ExitStatus status) {
  switch (status.by) {
    case EndedBy::exit: return format("exit code {}", status.number);
    case EndedBy::signal: {
      const char* abbreviation = sigabbrev_np(status.number);
      return abbreviation != nullptr ? format("signal SIG{}", abbreviation) : format("signal {}", status.number);
    }
    case EndedBy::unknown: break;
  }
  return "unknown exit status";
}

Verdict judge_exit(ExitStatus status, Doing doing, const std::string& model, const std::string& gpu) {
  const int code = status.by == EndedBy::exit ? status.number : -1;
  const std::string how = describe(status);
  switch (code) {
    case exit_code::kBadRequest:
      return {{"bad_request", format("the worker for {} refused what it was asked to do ({})", model, how), {}},
              doing != Doing::making};
    case exit_code::kOutOfMemory:
      return {{"out_of_memory",
               format("not enough memory on {} {} {} ({}): a smaller picture or a gpu with more memory may help", gpu,
                      doing == Doing::making ? "to make this picture with" : "to load", model, how),
               {}},
              false};
    case exit_code::kModelUnreadable:
      return {{"model_unreadable",
               format("the engine cannot load {} ({}): check the model's files, or add the model again", model, how),
               {}},
              true};
    case exit_code::kInvalidOutput:
      return {
          {"invalid_output", format("the engine returned no valid picture with {} on {} ({})", model, gpu, how), {}},
          false};
    case exit_code::kProtocol:
      return {{"protocol", format("the worker for {} on {} ended over a broken message ({})", model, gpu, how), {}},
              false};
    case exit_code::kRecycle:
      return {{"recycled", format("the worker for {} on {} ended to give memory back ({})", model, gpu, how), {}},
              false};
    default: break;
  }
  // Somebody's SIGKILL, most often the kernel's for want of memory, says nothing about the gpu.
  const bool killed = status.by == EndedBy::signal && status.number == SIGKILL;
  const char* const cause = code == exit_code::kStickyDevice ? "device_error" : killed ? "killed" : "engine_died";
  return {
      {cause,
       format("the worker for {} on {} died {} ({}): {}", model, gpu, while_doing(doing), how, likely_cause(status)),
       {}},
      false};
}

}  // namespace pixelfleet::workers
