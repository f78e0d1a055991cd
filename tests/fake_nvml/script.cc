#include "script.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "words.h"

namespace fake_nvml {
namespace {

int gpu_number(const std::string& text) {
  const std::uint64_t value = whole(text, "the gpu's number");
  if (value >= kMaxGpus) throw Wrong("the gpu's number " + text + " is not in 0-15");
  return static_cast<int>(value);
}

std::uint64_t throttle_bits(const std::string& text) {
  static const std::map<std::string, std::uint64_t> kBits = {
      {"none", 0},          {"idle", 1},          {"clocks_setting", 2}, {"sw_power_cap", 4},      {"hw_slowdown", 8},
      {"sync_boost", 0x10}, {"sw_thermal", 0x20}, {"hw_thermal", 0x40},  {"hw_power_brake", 0x80}, {"display", 0x100}};
  std::uint64_t bits = 0;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    const auto found = kBits.find(text.substr(start, comma - start));
    if (found == kBits.end()) throw Wrong("no throttle reason is called \"" + text.substr(start, comma - start) + "\"");
    bits |= found->second;
    start = comma + 1;
  }
  return bits;
}

double recovery_action(const std::string& text) {
  static const std::map<std::string, double> kActions = {
      {"none", 0}, {"reset", 1}, {"reboot", 2}, {"drain_p2p", 3}, {"drain_and_reset", 4}};
  const auto found = kActions.find(text);
  return found != kActions.end() ? found->second : number(text, "the recovery action");
}

Curve steady(double value) { return {value, value, 1, 0, Curve::Shape::steady}; }

std::optional<Curve> curve(Words& words, double now) {
  const std::string first = words.take("a value");
  if (first == "none") return std::nullopt;
  if (first != "ramp" && first != "wave") return steady(number(first, "the value"));
  Curve result;
  result.shape = first == "ramp" ? Curve::Shape::ramp : Curve::Shape::wave;
  result.from = number(words.take("the first value"), "the first value");
  result.to = number(words.take("the second value"), "the second value");
  result.seconds = seconds(words.take("the duration"));
  if (!(result.seconds > 0)) throw Wrong("the duration of a curve is above 0");
  result.since = now;
  return result;
}

Gpu healthy_gpu(int number) {
  Gpu gpu;
  const char digit = "0123456789abcdef"[number];
  gpu.uuid = std::string("GPU-fa4e0000-0000-4000-8000-00000000000") + digit;
  gpu.name = "Fake GPU " + std::to_string(number);
  gpu.pci = std::string("00000000:") + digit + "1:00.0";
  gpu.memory = {{"total", 24ull << 30}};
  gpu.throttle = 0;
  for (const auto& [key, value] : std::initializer_list<std::pair<const char*, double>>{{"temp", 45},
                                                                                        {"slowdown", 90},
                                                                                        {"shutdown", 95},
                                                                                        {"util", 0},
                                                                                        {"memutil", 0},
                                                                                        {"power", 60},
                                                                                        {"limit", 350},
                                                                                        {"energy", 1000},
                                                                                        {"sm_clock", 1800},
                                                                                        {"mem_clock", 9500},
                                                                                        {"pcie_gen", 4},
                                                                                        {"pcie_width", 16},
                                                                                        {"pcie_max_gen", 4},
                                                                                        {"pcie_max_width", 16},
                                                                                        {"ecc_corrected", 0},
                                                                                        {"ecc_uncorrected", 0},
                                                                                        {"rows_corrected", 0},
                                                                                        {"rows_uncorrected", 0},
                                                                                        {"rows_pending", 0},
                                                                                        {"rows_failed", 0},
                                                                                        {"mig", 0},
                                                                                        {"display_active", 0},
                                                                                        {"display_attached", 0},
                                                                                        {"recovery", 0}}) {
    gpu.numbers[key] = steady(value);
  }
  return gpu;
}

bool is_memory_key(const std::string& key) {
  return key == "used" || key == "free" || key == "reserved" || key == "total";
}

void apply_memory(Gpu& gpu, Words& words, const std::string& key) {
  const std::string value = words.take("the size");
  if (value == "none" && key == "total") {
    gpu.has_memory = false;
  } else if (value == "auto") {
    gpu.memory.erase(key);
  } else {
    gpu.memory[key] = bytes(value);
    if (key == "total") gpu.has_memory = true;
  }
}

void apply_process(Gpu& gpu, Words& words) {
  const auto pid = static_cast<unsigned>(whole(words.take("the process id"), "the process id"));
  const std::string kind = words.take("compute, graphics, name or gone");
  if (kind == "gone") {
    gpu.processes.erase(pid);
  } else if (kind == "compute" || kind == "graphics") {
    Process& process = gpu.processes[pid];
    process.compute = kind == "compute";
    process.bytes = bytes(words.take("the process's size"));
  } else if (kind == "name") {
    gpu.processes[pid].name = words.take("the process's name");
  } else {
    throw Wrong("a process is compute SIZE, graphics SIZE, name TEXT or gone, not \"" + kind + "\"");
  }
}

void apply_return(std::map<std::string, int>& returns, Words& words) {
  const std::string call = words.take("the call");
  const int code = static_cast<int>(whole(words.take("the code"), "the code"));
  if (code != 0) {
    returns[call] = code;
  } else if (call == "*") {
    returns.clear();
  } else {
    returns.erase(call);
  }
}

// A MIG instance of a tenth of a gpu or so: it knows its memory and its processes, and nothing else.
Gpu& instance_of(Gpu& gpu, int number, std::uint64_t place) {
  if (place >= kMaxInstances) throw Wrong("the instance's number is not in 0-6");
  if (gpu.instances.size() <= place) gpu.instances.resize(place + 1);
  Gpu& instance = gpu.instances[place];
  if (!instance.uuid.empty()) return instance;
  const char digit = "0123456789abcdef"[number];
  instance.uuid = std::string("MIG-fa4e0000-0000-4000-8000-0000000000") + digit + std::to_string(place);
  instance.name = gpu.name + " MIG 1g.10gb";
  instance.memory = {{"total", 10ull << 30}, {"reserved", 0}};
  for (const auto& [key, value] : gpu.numbers) instance.numbers[key].reset();
  return instance;
}

void apply_xid(World& world, int gpu, unsigned instance, Words& words, const Statement& statement) {
  Xid xid;
  const std::string origin = std::to_string(statement.line) + ":" + statement.text + ":";
  const auto earlier = std::count_if(world.xids.begin(), world.xids.end(),
                                     [&](const Xid& other) { return other.id.starts_with(origin); });
  xid.id = origin + std::to_string(earlier);
  xid.gpu = gpu;
  xid.instance = instance;
  xid.code = whole(words.take("the Xid"), "the Xid");
  const std::string next = words.peek();
  if (next.size() > 1 && next[0] == 'x' && next[1] >= '0' && next[1] <= '9') {
    xid.times = static_cast<unsigned>(whole(words.take("how often").substr(1), "how often"));
  }
  world.xids.push_back(std::move(xid));
}

void move_to(World& world, int gpu, std::size_t index) {
  std::erase(world.order, gpu);
  index = std::min(index, world.order.size());
  world.order.insert(world.order.begin() + static_cast<std::ptrdiff_t>(index), gpu);
}

void apply_gpu(World& world, int gpu_key, Words& words, const Statement& statement) {
  Gpu* whole_gpu = &world.gpus.at(gpu_key);
  Gpu* target = whole_gpu;
  unsigned instance = kNoInstance;
  while (!words.empty()) {
    Gpu& gpu = *target;
    const std::string key = words.take("a key");
    if (key == "instance") {
      instance = static_cast<unsigned>(whole(words.take("the instance's number"), "the instance's number"));
      target = &instance_of(*whole_gpu, gpu_key, instance);
    } else if (key == "gone" && instance != kNoInstance)
      gpu.uuid.clear();
    else if (key == "uuid")
      gpu.uuid = words.take("the uuid");
    else if (key == "name")
      gpu.name = words.take("the name");
    else if (key == "pci")
      gpu.pci = words.take("the PCI id");
    else if (key == "index")
      move_to(world, gpu_key, whole(words.take("the index"), "the index"));
    else if (key == "mem" && is_memory_key(words.peek()))
      continue;
    else if (key == "mem")
      apply_memory(gpu, words, "total");
    else if (is_memory_key(key))
      apply_memory(gpu, words, key);
    else if (key == "process")
      apply_process(gpu, words);
    else if (key == "xid")
      apply_xid(world, gpu_key, instance, words, statement);
    else if (key == "ret")
      apply_return(gpu.returns, words);
    else if (key == "throttle" && words.peek() == "unsupported") {
      words.take("");
      gpu.throttle.reset();
    } else if (key == "throttle")
      gpu.throttle = throttle_bits(words.take("the reasons"));
    else if (key == "recovery" && words.peek() != "unsupported") {
      gpu.numbers[key] = steady(recovery_action(words.take("the action")));
    } else if (key == "recovery") {
      words.take("");
      gpu.numbers[key].reset();
    } else if (gpu.numbers.contains(key))
      gpu.numbers[key] = curve(words, statement.at);
    else
      throw Wrong("a gpu has nothing called \"" + key + "\"");
  }
}

void apply_count(World& world, std::uint64_t count) {
  if (count > kMaxGpus) throw Wrong("count is 0-16");
  if (world.order.size() > count) world.order.resize(count);
  for (int key = 0; world.order.size() < count; ++key) {
    if (std::find(world.order.begin(), world.order.end(), key) != world.order.end()) continue;
    world.gpus.emplace(key, healthy_gpu(key));
    world.order.push_back(key);
  }
}

void apply_call(World& world, Words& words, double now) {
  const std::string call = words.take("the call");
  const std::string what = words.take("hang, takes or ok");
  Delay delay;
  if (what == "ok") {
    world.delays.erase(call);
    return;
  }
  if (what == "takes") {
    delay.seconds = seconds(words.take("how long"));
  } else if (what == "hang") {
    delay.hangs = true;
    delay.until = words.empty() ? std::numeric_limits<double>::infinity() : now + seconds(words.take("how long"));
  } else {
    throw Wrong("a call can hang [TIME], takes TIME or be ok, not \"" + what + "\"");
  }
  world.delays[call] = delay;
}

int known_gpu(const World& world, Words& words) {
  const std::string text = words.take("the gpu's number");
  const int key = gpu_number(text);
  if (!world.gpus.contains(key)) throw Wrong("there is no gpu " + text + " to change");
  return key;
}

void apply(World& world, const Statement& statement) {
  Words words(statement.words);
  const std::string verb = words.take("a statement");
  if (verb == "driver") {
    world.driver = words.take("the version");
  } else if (verb == "cuda") {
    world.cuda = static_cast<int>(whole(words.take("the version"), "the version"));
  } else if (verb == "gpu") {
    if (statement.at <= 0) {
      const int key = gpu_number(words.peek());
      if (world.gpus.emplace(key, healthy_gpu(key)).second) world.order.push_back(key);
    }
    const int key = known_gpu(world, words);
    apply_gpu(world, key, words, statement);
  } else if (verb == "add") {
    if (!words.take_if("gpu")) throw Wrong("add is followed by gpu and its number");
    const int key = gpu_number(words.take("the gpu's number"));
    world.gpus.emplace(key, healthy_gpu(key));
    if (std::find(world.order.begin(), world.order.end(), key) == world.order.end()) world.order.push_back(key);
    apply_gpu(world, key, words, statement);
  } else if (verb == "remove") {
    if (!words.take_if("gpu")) throw Wrong("remove is followed by gpu and its number");
    std::erase(world.order, known_gpu(world, words));
  } else if (verb == "count") {
    apply_count(world, whole(words.take("the count"), "the count"));
  } else if (verb == "init") {
    if (!words.take_if("ret")) throw Wrong("init is followed by ret and a code");
    world.init_returns = static_cast<int>(whole(words.take("the code"), "the code"));
  } else if (verb == "ret") {
    apply_return(world.returns, words);
  } else if (verb == "call") {
    apply_call(world, words, statement.at);
  } else if (verb == "missing") {
    world.missing.insert(words.take("the function"));
  } else if (verb == "segv") {
    world.crash = true;
  } else {
    throw Wrong("no statement begins with \"" + verb + "\"");
  }
  if (!words.empty()) throw Wrong("\"" + words.peek() + "\" is too much");
}

bool declares_gpus(const Statement& statement) {
  const std::string& verb = statement.words.front();
  return statement.at <= 0 && (verb == "gpu" || verb == "add" || verb == "count");
}

World first_world(const Script& script) {
  World world;
  if (std::none_of(script.statements.begin(), script.statements.end(), declares_gpus)) apply_count(world, 1);
  return world;
}

// Takes "at TIME" off the front. A statement about the clock goes into the script; others come back.
bool is_about_gpus(Statement& statement, Script& script) {
  auto& words = statement.words;
  if (words[0] == "at") {
    if (words.size() < 3) throw Wrong("at is followed by a time and a statement");
    statement.at = seconds(words[1]);
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words[0] == "now" && words.size() == 2) {
    script.now = seconds(words[1]);
    return false;
  }
  if (words[0] == "clock" && words.size() == 2 && (words[1] == "file" || words[1] == "start")) {
    script.from_file_time = words[1] == "file";
    return false;
  }
  return true;
}

}  // namespace

double Curve::at(double now) const {
  const double passed = std::max(0.0, now - since);
  if (shape == Shape::ramp) return from + (to - from) * std::min(1.0, passed / seconds);
  if (shape == Shape::wave) return std::fmod(passed, seconds) * 2 < seconds ? from : to;
  return from;
}

std::uint64_t Gpu::total() const { return memory.at("total").value_or(0); }

std::uint64_t Gpu::reserved() const {
  const auto found = memory.find("reserved");
  return found != memory.end() ? *found->second : 256ull << 20;
}

std::uint64_t Gpu::used() const {
  if (const auto found = memory.find("used"); found != memory.end()) return *found->second;
  std::uint64_t sum = 0;
  for (const auto& [pid, process] : processes) sum += process.bytes;
  return sum;
}

std::uint64_t Gpu::free() const {
  if (const auto found = memory.find("free"); found != memory.end()) return *found->second;
  const std::uint64_t taken = std::min(total(), reserved()) + std::min(total(), used());
  return taken < total() ? total() - taken : 0;
}

Script parse(const std::string& text) {
  Script script;
  const auto tell = [&](const Statement& statement, const Wrong& wrong) {
    script.errors.push_back("line " + std::to_string(statement.line) + ": " + wrong.what());
  };
  for (Statement& statement : cut(text)) {
    try {
      if (is_about_gpus(statement, script)) script.statements.push_back(statement);
    } catch (const Wrong& wrong) {
      tell(statement, wrong);
    }
  }
  auto& all = script.statements;
  std::stable_sort(all.begin(), all.end(), [](const Statement& a, const Statement& b) { return a.at < b.at; });
  World world = first_world(script);
  std::erase_if(all, [&](const Statement& statement) {
    try {
      World next = world;  // a statement that fails half-way changes nothing
      apply(next, statement);
      world = std::move(next);
      return false;
    } catch (const Wrong& wrong) {
      tell(statement, wrong);
      return true;
    }
  });
  return script;
}

std::size_t happened(const Script& script, double now) {
  const auto& all = script.statements;
  return static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [&](const Statement& statement) { return statement.at <= now; }));
}

World world_after(const Script& script, std::size_t statements) {
  World world = first_world(script);
  for (std::size_t i = 0; i < statements; ++i) apply(world, script.statements[i]);
  return world;
}

bool names_call(const std::string& name, const std::string& call) {
  if (name == "*" || name == call) return true;
  return call.size() == name.size() + 3 && call.starts_with(name) && call[name.size()] == '_' &&
         call[name.size() + 1] == 'v';
}

}  // namespace fake_nvml
