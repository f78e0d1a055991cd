// The scripted driver: what a file in the language of README.md says the machine's gpus are like at a moment.
//
// A script is a list of statements, each with its second; the world at a moment is all statements up to then, applied
// in order. Knows nothing of NVML's functions except their names. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fake_nvml {

inline constexpr int kMaxGpus = 16;
inline constexpr int kMaxInstances = 7;  // of MIG, on a gpu

// A number that may change by itself: steady, going from one value to another, or jumping between two.
struct Curve {
  enum class Shape { steady, ramp, wave };
  double from = 0;
  double to = 0;
  double seconds = 1;
  double since = 0;
  Shape shape = Shape::steady;

  double at(double now) const;
};

struct Process {
  bool compute = true;
  std::uint64_t bytes = 0;
  std::string name = {};
};

struct Gpu {
  std::string uuid;
  std::string name;
  std::string pci;
  std::map<std::string, std::optional<std::uint64_t>> memory;  // total, used, free, reserved; unset ones are computed
  bool has_memory = true;
  std::map<std::string, std::optional<Curve>> numbers;  // an empty one is not supported
  std::optional<std::uint64_t> throttle;                // NVML's bits
  std::map<unsigned, Process> processes;
  std::map<std::string, int> returns;  // by call, "*" for every one
  std::vector<Gpu> instances;          // of MIG, by their place; one without a uuid does not exist

  std::uint64_t total() const;
  std::uint64_t reserved() const;
  std::uint64_t used() const;
  std::uint64_t free() const;
};

inline constexpr unsigned kNoInstance = 0xFFFFFFFF;  // as NVML has it

struct Xid {
  std::string id;  // the same in every reading of the file
  int gpu = 0;
  unsigned instance = kNoInstance;
  std::uint64_t code = 0;
  unsigned times = 1;
};

// A call that does not come back, or not soon.
struct Delay {
  bool hangs = false;
  double until = 0;    // of a hang; infinite for one that never ends
  double seconds = 0;  // that a call takes
};

struct World {
  std::string driver = "550.163.01";
  int cuda = 12'040;
  std::map<int, Gpu> gpus;  // by their number in the script
  std::vector<int> order;   // those that are there: NVML's index is the place in here
  int init_returns = 0;
  std::map<std::string, int> returns;
  std::map<std::string, Delay> delays;
  std::set<std::string> missing;
  std::vector<Xid> xids;
  bool crash = false;
};

struct Statement {
  double at = 0;
  int line = 0;
  std::string text;
  std::vector<std::string> words;
};

struct Script {
  std::vector<Statement> statements;  // by time
  std::optional<double> now;          // the clock stands still here
  bool from_file_time = false;        // the clock counts from the file's last change
  std::vector<std::string> errors;    // "line 3: ..."; statements with errors are left out
};

Script parse(const std::string& text);

// How many of the statements have happened by `now`, and the world after so many.
std::size_t happened(const Script& script, double now);
World world_after(const Script& script, std::size_t statements);

// True when `call` is the function `name`, or a later version of it (_v2 and so on), or `name` is "*".
bool names_call(const std::string& name, const std::string& call);

}  // namespace fake_nvml
