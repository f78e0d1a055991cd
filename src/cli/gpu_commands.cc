#include "cli/gpu_commands.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <optional>
#include <tuple>

#include "base/format.h"
#include "base/json_full.h"
#include "base/unique_fd.h"
#include "cli/ask_internal.h"
#include "cli/gpu_screen.h"
#include "domain/gpu_json.h"
#include "domain/job_json.h"

namespace pixelfleet::cli {
namespace {

constexpr int kIntervalMs = 1000;
constexpr double kMegabyte = 1 << 20;

// What a server tells of the gpus, or what they tell themselves while none runs.
class Eyes {
 public:
  Eyes(const Config& config, const Hooks& hooks) : config_(config), hooks_(hooks) {}

  Result<Json> look() {
    const auto server = hooks_.find_server(config_);
    if (server && *server) {
      own_ = nullptr;
      auto live = Client(**server).get("/api/v1/gpus");
      if (!live) return fail(live.error());
      return std::move((*live)["gpus"]);
    }
    if (!own_) {
      auto look = hooks_.look_at_gpus(config_);
      if (!look) return fail(look.error());
      own_ = std::move(*look);
    }
    const auto found = own_();
    if (!found) return fail(found.error());
    Json gpus = Json::array();
    for (const GpuStatus& status : *found) gpus.push_back(to_json(status));
    return gpus;
  }

 private:
  const Config& config_;
  const Hooks& hooks_;
  GpuLook own_;
};

std::string gib(const Json& bytes) {
  return bytes.is_number() ? format("{:.1f}", bytes.get<double>() / (1 << 30)) : std::string("-");
}

// The signals that end a program, and what is typed, as events; the terminal is as it was afterwards.
class Keyboard {
 public:
  Keyboard() {
    sigset_t ends;
    sigemptyset(&ends);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&ends, signal);
    sigprocmask(SIG_BLOCK, &ends, &before_);
    signals_ = UniqueFd(signalfd(-1, &ends, SFD_CLOEXEC));
    if (isatty(STDIN_FILENO) == 0 || tcgetattr(STDIN_FILENO, &typed_) != 0) return;
    termios raw = typed_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0) reads_keys_ = true;
  }
  ~Keyboard() {
    if (reads_keys_) tcsetattr(STDIN_FILENO, TCSANOW, &typed_);
    sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  Keyboard(const Keyboard&) = delete;
  Keyboard& operator=(const Keyboard&) = delete;

  // Whether somebody wants to go on, after so long at most.
  bool goes_on(int milliseconds) const {
    std::array<pollfd, 2> watched = {{{signals_.get(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
    if (::poll(watched.data(), reads_keys_ ? 2 : 1, milliseconds) <= 0) return true;
    if (watched[0].revents != 0) return false;
    char key = 0;
    return ::read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q';
  }

 private:
  sigset_t before_{};
  UniqueFd signals_;
  termios typed_{};
  bool reads_keys_ = false;
};

// The other screen of the terminal, without a cursor, as long as this lives.
class Terminal {
 public:
  Terminal() : is_one_(isatty(STDOUT_FILENO) != 0) {
    if (is_one_) std::fputs("\x1b[?1049h\x1b[?25l", stdout);
  }
  ~Terminal() {
    if (is_one_) std::fputs("\x1b[?25h\x1b[?1049l", stdout);
    std::fflush(stdout);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void show(const GpuScreen& screen, const std::string& note) const {
    winsize size{};
    const bool known = is_one_ && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    const std::size_t width = known ? size.ws_col : 120;
    const std::size_t height = known && size.ws_row > 0 ? size.ws_row : static_cast<std::size_t>(-1);
    std::string text = is_one_ ? "\x1b[H" : "";
    std::size_t shown = 0;
    for (const std::string& line : screen.lines(width, is_one_ ? Colour::ansi : Colour::none, note)) {
      if (shown++ == height) break;
      text += (shown > 1 ? "\n" : "") + line + (is_one_ ? "\x1b[K" : "");
    }
    text += is_one_ ? "\x1b[J" : "\n\n";
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
  }

 private:
  const bool is_one_;
};

// Pictures on a screen are nobody's computing. Other programs may hide in what is not accounted for, so that counts.
double computing_bytes(const Json& gpu) {
  double bytes = gpu["memory_used_bytes"].get<double>();
  const auto detail = gpu.find("detail");
  if (detail == gpu.end() || !detail->is_object() || !(*detail)["processes"].is_array()) return bytes;
  for (const Json& process : (*detail)["processes"]) {
    const Json& used = process["memory_used_bytes"];
    if (process["kind"] == "graphics" && used.is_number()) bytes -= used.get<double>();
  }
  return bytes;
}

}  // namespace

int gpus_list(const Config& config, Output output, const Hooks& hooks) {
  const auto gpus = Eyes(config, hooks).look();
  if (!gpus) return report(gpus.error());
  if (output == Output::json) {
    print_json({{"gpus", *gpus}});
    return kExitOk;
  }
  std::printf("%3s  %-8s  %-8s  %15s  %5s  %5s  %6s  %s\n", "#", "kind", "state", "memory GiB", "util", "temp", "watts",
              "name");
  for (const Json& gpu : *gpus) {
    const Json& ratio = gpu["utilization_ratio"];
    std::printf("%3s  %-8s  %-8s  %6s / %6s  %5s  %5s  %6s  %s\n", text(gpu, "index").c_str(),
                text(gpu, "kind").c_str(), text(gpu, "state").c_str(), gib(gpu["memory_used_bytes"]).c_str(),
                gib(gpu["memory_total_bytes"]).c_str(),
                ratio.is_number() ? format("{:.0f} %", ratio.get<double>() * 100).c_str() : "-",
                text(gpu, "temperature_celsius").c_str(), text(gpu, "power_watts").c_str(), text(gpu, "name").c_str());
  }
  return kExitOk;
}

int gpus_watch(const Config& config, const Hooks& hooks) {
  Eyes eyes(config, hooks);
  auto gpus = eyes.look();
  if (!gpus) return report(gpus.error());
  GpuScreen screen;
  const Keyboard keyboard;
  const Terminal terminal;
  do {
    if (gpus) screen.add(*gpus);
    terminal.show(screen, gpus ? "q: leave" : "as last seen: " + gpus.error().message);
    if (!keyboard.goes_on(kIntervalMs)) return kExitOk;
    gpus = eyes.look();
  } while (std::ferror(stdout) == 0);
  return kExitOk;
}

int gpus_order(const Config& config, const std::string& gpu, const std::string& wish, Output output,
               const Hooks& hooks) {
  const bool is_name = !gpu.empty() && std::all_of(gpu.begin(), gpu.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
  if (!is_name) {
    return report(invalid_fields({{"gpu", gpu, "not a gpu's name", "a UUID or number as `pixelfleet gpus` has them"}}));
  }
  return ask(
      config, hooks, output,
      [&](const Client& client) { return client.post(format("/api/v1/gpus/{}/{}", gpu, wish), Json::object()); },
      [](const Json& status) {
        const Json& health = status["health"];
        std::printf("%s  %s  %s (%s)\n", text(status, "uuid").c_str(), text(status, "state").c_str(),
                    text(health, "state").c_str(), text(health, "reason").c_str());
      });
}

std::vector<std::string> idle_gpus(const Json& gpus, const IdleLimits& limits) {
  std::vector<std::tuple<double, double, std::string>> idle;  // most free memory first, then by index
  for (const Json& gpu : gpus) {
    const std::string state = text(gpu, "state");
    if (text(gpu, "kind") == "cpu" || (state != "idle" && state != "unused")) continue;
    const Json& used = gpu["memory_used_bytes"];
    const Json& ratio = gpu["utilization_ratio"];
    if (!used.is_number() || computing_bytes(gpu) >= limits.memory_bytes) continue;
    if (ratio.is_number() && ratio.get<double>() >= limits.utilisation_ratio) continue;
    const Json& total = gpu["memory_total_bytes"];
    const double free = (total.is_number() ? total.get<double>() : 0.0) - used.get<double>();
    idle.emplace_back(-free, gpu["index"].get<double>(), text(gpu, "uuid"));
  }
  std::sort(idle.begin(), idle.end());
  std::vector<std::string> uuids;
  for (const auto& [free, index, uuid] : idle) uuids.push_back(uuid);
  return uuids;
}

int gpus_pick(const Config& config, int count, Wait wait, Output output, const Hooks& hooks) {
  const IdleLimits limits{config.idle_memory_mb * kMegabyte, config.idle_utilization_percent / 100.0};
  std::optional<Keyboard> keyboard;
  if (wait == Wait::until_idle) keyboard.emplace();
  Eyes eyes(config, hooks);
  for (;;) {
    const auto gpus = eyes.look();
    if (!gpus) return report(gpus.error());
    std::vector<std::string> idle = idle_gpus(*gpus, limits);
    if (idle.size() >= static_cast<std::size_t>(count)) {
      idle.resize(static_cast<std::size_t>(count));
      if (output == Output::json) {
        print_json({{"gpus", idle}});
      } else {
        std::printf("%s\n", format("{}", join(idle, ",")).c_str());
      }
      return kExitOk;
    }
    if (wait == Wait::no) {
      return report({ErrorCode::unavailable,
                     format("{} of {} gpus {} idle (less than {} MB in use and {} % busy), {} wanted; --wait waits for "
                            "them",
                            idle.size(), gpus->size(), idle.size() == 1 ? "is" : "are", config.idle_memory_mb,
                            config.idle_utilization_percent, count)});
    }
    if (!keyboard->goes_on(kIntervalMs)) return kExitUnavailable;
  }
}

}  // namespace pixelfleet::cli
