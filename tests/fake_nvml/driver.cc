#include "driver.h"

#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

namespace fake_nvml {
namespace {

// The file as it was last read, and everything that lasts longer than one call.
struct State {
  std::string path;
  struct stat seen = {};
  Script script;
  World world;
  std::size_t events = 0;
  bool loaded = false;
  int initialized = 0;
  std::optional<double> first_init;  // on the machine's clock
  std::map<std::string, unsigned> delivered;
  std::set<int> watched;  // gpus whose Xids are wanted
};

State& state() {
  static State* const all = new State;  // never destroyed: calls may come until the very end
  return *all;
}

double clock_now() {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(since_epoch).count();
}

double changed_at(const struct stat& file) {
  return static_cast<double>(file.st_mtim.tv_sec) + static_cast<double>(file.st_mtim.tv_nsec) / 1e9;
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

void load(const std::string& path, const struct stat& file) {
  State& s = state();
  std::ifstream in(path);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  s.seen = file;
  s.script = parse(text);
  for (const std::string& error : s.script.errors) std::fprintf(stderr, "%s: %s\n", path.c_str(), error.c_str());
  s.loaded = true;
  s.events = happened(s.script, script_now());
  s.world = world_after(s.script, s.events);
}

void refresh() {
  State& s = state();
  const char* variable = std::getenv("FAKE_NVML_SCRIPT");
  const std::string path = variable == nullptr ? "" : variable;
  if (path != s.path) {
    s.delivered.clear();
    s.first_init.reset();
    s.loaded = false;
    s.path = path;
  }
  struct stat file = {};
  if (path.empty()) {
    if (!s.loaded) load("/dev/null", file);
  } else if (::stat(path.c_str(), &file) == 0) {
    if (!s.loaded || !same_file(file, s.seen)) load(path, file);
  } else if (!s.loaded) {
    std::fprintf(stderr, "%s: cannot be read: %s\n", path.c_str(), std::strerror(errno));
    load("/dev/null", file);
  }
  if (const std::size_t events = happened(s.script, script_now()); events != s.events) {
    s.events = events;
    s.world = world_after(s.script, events);
  }
}

constexpr int kGlanceMs = 5;  // between two looks at the script

const Delay* delay_of(const char* call) {
  for (const auto& [name, delay] : state().world.delays) {
    if (names_call(name, call)) return &delay;
  }
  return nullptr;
}

void be_slow(const char* call) {
  const Delay* delay = delay_of(call);
  if (delay == nullptr) return;
  if (!delay->hangs) {
    wait_for_ms(static_cast<int>(std::min(delay->seconds, 86'400.0) * 1000));
    return;
  }
  for (; delay != nullptr && delay->hangs && script_now() < delay->until; delay = delay_of(call)) {
    wait_for_ms(kGlanceMs);
    refresh();
  }
}

int code_in(const std::map<std::string, int>& returns, const char* call) {
  for (const auto& [name, code] : returns) {
    if (name != "*" && names_call(name, call)) return code;
  }
  const auto every = returns.find("*");
  return every == returns.end() ? kSuccess : every->second;
}

// What every call does first: the time passes, the trouble of the script happens.
int meet_trouble(const char* call) {
  refresh();
  if (state().world.crash) std::raise(SIGSEGV);
  be_slow(call);
  if (state().world.missing.contains(call)) return kFunctionNotFound;
  return code_in(state().world.returns, call);
}

}  // namespace

const World& world() {
  refresh();
  return state().world;
}

// Seconds of the script's time. It begins with the first init here, or with a later change of the file.
double script_now() {
  const State& s = state();
  if (s.script.now) return *s.script.now;
  if (!s.first_init) return 0;
  const double changed = changed_at(s.seen);
  const double begin = s.script.from_file_time ? changed : std::max(changed, *s.first_init);
  return std::max(0.0, clock_now() - begin);
}

bool is_missing(const char* call) { return world().missing.contains(call); }

void* handle_of(int gpu, int instance) {
  static int slots[kMaxGpus * (kMaxInstances + 1)];
  const int place = (instance + 1) * kMaxGpus + gpu;
  slots[place] = place;
  return &slots[place];
}

int gpu_of(const void* handle) { return *static_cast<const int*>(handle) % kMaxGpus; }

int instance_of(const void* handle) { return *static_cast<const int*>(handle) / kMaxGpus - 1; }

void wait_for_ms(int milliseconds) { ::poll(nullptr, 0, milliseconds); }

int initialize(const char* call) {
  State& s = state();
  refresh();
  if (!s.first_init) s.first_init = clock_now();
  int code = meet_trouble(call);
  if (code == kSuccess) code = s.world.init_returns;
  if (code == kSuccess) ++s.initialized;
  return code;
}

int shut_down(const char* call) {
  if (const int code = enter(call); code != kSuccess) return code;
  --state().initialized;
  return kSuccess;
}

int enter(const char* call) {
  const int code = meet_trouble(call);
  return code == kSuccess && state().initialized == 0 ? kUninitialized : code;
}

int code_for_gpu(const char* call, int gpu) { return code_in(state().world.gpus.at(gpu).returns, call); }

int enter_gpu(const char* call, const void* device, const Gpu*& gpu) {
  if (const int code = enter(call); code != kSuccess) return code;
  if (device == nullptr) return kInvalidArgument;
  const World& now = state().world;
  const int key = gpu_of(device);
  if (std::find(now.order.begin(), now.order.end(), key) == now.order.end()) return kGpuIsLost;
  gpu = &now.gpus.at(key);
  if (const int code = code_in(gpu->returns, call); code != kSuccess) return code;
  const int instance = instance_of(device);
  if (instance == kWhole) return kSuccess;
  const auto place = static_cast<std::size_t>(instance);
  if (place >= gpu->instances.size() || gpu->instances[place].uuid.empty()) return kNotFound;
  gpu = &gpu->instances[place];
  return code_in(gpu->returns, call);
}

void watch_for_xids(int gpu) { state().watched.insert(gpu); }

void watch_no_gpu() { state().watched.clear(); }

const Xid* next_xid() {
  State& s = state();
  for (const Xid& xid : s.world.xids) {
    if (!s.watched.contains(xid.gpu)) continue;
    unsigned& delivered = s.delivered[xid.id];
    if (delivered >= xid.times) continue;
    ++delivered;
    return &xid;
  }
  return nullptr;
}

}  // namespace fake_nvml
