// The worker's own cage: what its process can still do after its first act.
//
// Two steps, because rules can only become tighter: enter_sandbox before any input is read (nothing may be written,
// no sockets, no programs, no tracing; the parent's death ends the process), restrict_reading when the model's files
// are known. Kernels and containers may lack a part: that is reported, never fatal here. Engines parse files from
// strangers; this is what a broken parser runs into.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pixelfleet::workers {

enum class Devices { none, nvidia, amd };
enum class SandboxLevel { none, partial, full };

struct SandboxReport {
  SandboxLevel level = SandboxLevel::none;
  std::string detail;  // what is missing and why; empty where nothing is
};

std::string_view name(SandboxLevel level);

// To be called while the process has one thread. A worker for `devices` may still write to their device files.
SandboxReport enter_sandbox(Devices devices);

// From now on this thread and those it starts may read system libraries, kernel information, device files, the
// directories of `libraries` and exactly `files`. Says what could not be restricted; empty where all was.
std::string restrict_reading(const std::vector<std::string>& files, const std::vector<std::string>& libraries);

// The kernel ends this process when the thread that started it ends. False where the parent is gone already.
// `socket` is the connection to the parent, whose creator the kernel remembers.
bool die_with_parent(int socket);

}  // namespace pixelfleet::workers
