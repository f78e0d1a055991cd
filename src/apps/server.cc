#include "apps/server.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <mutex>

#include "apps/build_info.h"
#include "apps/gpus.h"
#include "apps/models.h"
#include "apps/paths.h"
#include "apps/token.h"
#include "base/format.h"
#include "base/log.h"
#include "base/rng.h"
#include "cli/hooks.h"
#include "control/forecast_thread.h"
#include "control/loop.h"
#include "gpu/gpu_source.h"
#include "hostmem/available_memory.h"
#include "hostmem/staging_pool.h"
#include "http/server.h"
#include "media/media_pool.h"
#include "store/data_lock.h"
#include "store/store.h"
#include "workers/supervisor.h"

namespace pixelfleet::apps {
namespace {

bool is_loopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

// Thousands of event streams want descriptors; Debian's soft limit is 1024.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) log::debug("server", "open files: {}", limit.rlim_cur);
}

void configure_log(const Config& config, ServerUse use) {
  log::Level level = log::Level::info;
  if (config.log_level == "debug") level = log::Level::debug;
  if (config.log_level == "warn") level = log::Level::warn;
  if (config.log_level == "error") level = log::Level::error;
  // A command's own server speaks of troubles only: the command tells the rest.
  if (use == ServerUse::private_to_command && level == log::Level::info) level = log::Level::warn;
  const bool json = config.log_style == "json" || (config.log_style == "auto" && isatty(STDERR_FILENO) == 0);
  log::configure(level, json && use == ServerUse::shared ? log::Style::json : log::Style::text);
}

// Another one after each start of the machine; empty where the kernel does not tell.
std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace

// Members are destroyed from the last to the first: nobody outlives what it uses.
struct RunningServer::Parts {
  explicit Parts(store::DataLock data_lock) : lock(std::move(data_lock)) {}

  store::DataLock lock;
  SystemClock clock;
  control::Mailbox mailbox;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<catalog::CatalogSource> catalog;
  std::unique_ptr<media::MediaPool> media;
  std::unique_ptr<workers::Supervisor> workers;
  std::unique_ptr<hostmem::StagingPool> host_memory;
  std::unique_ptr<control::ForecastThread> forecaster;
  std::unique_ptr<control::Loop> loop;
  std::unique_ptr<gpu::GpuSource> gpus;
  std::unique_ptr<http::Server> http;
  std::string bind;
  std::string token;
  std::atomic<bool> failed = false;

  Result<> open_store(const Config& config);
  Result<> open_edges(const Config& config);
  Result<> open_loop(const Config& config);
  Result<> open_http(const Config& config);
};

Result<> RunningServer::Parts::open_store(const Config& config) {
  auto opened = store::Store::open(config.data_directory);
  if (!opened) return fail(opened.error());
  store = std::move(*opened);
  return {};
}

Result<> RunningServer::Parts::open_edges(const Config& config) {
  auto source = catalog::CatalogSource::open(catalog_options(config));
  if (!source) return fail(source.error());
  catalog = std::move(*source);
  for (const std::string& problem : catalog->problems()) log::warn("catalog", "{}", problem);

  media::MediaPool::Options media_options;
  media_options.output_directory = std::filesystem::absolute(config.output_directory).string();
  media_options.instance_id = config.instance_id;
  media_options.version = kVersion;
  auto pool = media::MediaPool::open(media_options, mailbox, clock);
  if (!pool) return fail(pool.error());
  media = std::move(*pool);

  workers::SupervisorOptions worker_options;
  worker_options.program = program_path().string();
  worker_options.engines_dir = engines_directory(config).string();
  worker_options.data_directory = std::filesystem::absolute(config.data_directory).string();
  worker_options.engine_library = engine_library(config).string();
  worker_options.time_scale = config.time_scale;
  auto supervisor = workers::make_supervisor(worker_options, mailbox);
  if (!supervisor) return fail(supervisor.error());
  workers = std::move(*supervisor);
  host_memory = std::make_unique<hostmem::StagingPool>(hostmem::StagingPool::Options{}, mailbox);
  return {};
}

Result<> RunningServer::Parts::open_loop(const Config& config) {
  control::LoopOptions options;
  options.output_directory = std::filesystem::absolute(config.output_directory);
  options.resident_limit = config.resident_limit;
  options.host_memory_bytes = hostmem::default_limit_bytes();
  options.time_scale = config.time_scale;
  options.locked = config.locked;
  options.boot_id = boot_id();
  options.sharing = {std::int64_t{config.idle_memory_mb} << 20, config.idle_utilization_percent / 100.0,
                     std::int64_t{config.vram_margin_mb} << 20};
  options.on_fatal = [this](const Error&) {
    failed = true;
    kill(getpid(), SIGTERM);
  };
  forecaster = std::make_unique<control::ForecastThread>(mailbox, random_seed());
  auto opened = control::Loop::open(clock, mailbox, {*store, *workers, *media, *host_memory, forecaster.get()},
                                    catalog->current(), config.live, options);
  if (!opened) return fail(opened.error());
  loop = std::move(*opened);
  loop->start();
  return {};
}

Result<> RunningServer::Parts::open_http(const Config& config) {
  http::Options options;
  options.bind_address = config.bind;
  options.port = static_cast<std::uint16_t>(config.port);
  options.data_directory = std::filesystem::absolute(config.data_directory);
  options.output_directory = std::filesystem::absolute(config.output_directory);
  options.allowed_hosts = config.allowed_hosts;
  options.token = token;
  if (config.insecure_no_token) options.without_token = http::WithoutToken::serve_everyone;
  options.version = kVersion;
  options.instance_id = config.instance_id;
  auto started = http::Server::start(options, *loop, *store);
  if (!started) return fail(started.error());
  http = std::move(*started);
  return {};
}

RunningServer::RunningServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

RunningServer::~RunningServer() {
  // Nobody may ask the loop while it ends, and workers end before the media pool that takes their pictures.
  if (parts_->http) parts_->http->stop();
  parts_->loop->stop();
}

Result<std::unique_ptr<RunningServer>> RunningServer::start(const Config& given, ServerUse use) {
  Config config = given;
  if (use == ServerUse::private_to_command) {
    config.bind = "127.0.0.1";
    config.port = 0;
  }
  configure_log(config, use);
  raise_descriptor_limit();
  store::RunningServer self{getpid(), config.bind, 0, SystemClock().now(), kVersion};
  auto lock = store::DataLock::acquire(config.data_directory, self);
  if (!lock) return fail(lock.error());
  auto parts = std::make_unique<Parts>(std::move(*lock));
  parts->bind = config.bind;
  if (!is_loopback(config.bind) && !config.insecure_no_token) {
    auto token = load_or_make_token(config.data_directory);
    if (!token) return fail(token.error());
    parts->token = std::move(*token);
  }
  if (auto done = parts->open_store(config); !done) return fail(done.error());
  if (auto done = parts->open_edges(config); !done) return fail(done.error());
  if (auto done = parts->open_loop(config); !done) return fail(done.error());
  std::unique_ptr<RunningServer> server(new RunningServer(std::move(parts)));
  if (auto done = server->parts_->open_http(config); !done) return fail(done.error());
  const auto detection = gpu_options(config);
  if (!detection) return fail(detection.error());
  auto gpus = gpu::GpuSource::start(*detection, server->parts_->mailbox);
  if (!gpus) return fail(gpus.error());
  server->parts_->gpus = std::move(*gpus);
  self.port = server->port();
  if (auto done = server->parts_->lock.announce(self); !done) return fail(done.error());
  return server;
}

int RunningServer::port() const { return parts_->http->port(); }

std::string RunningServer::page_url() const {
  const std::string host = parts_->bind == "0.0.0.0" || parts_->bind == "::" ? "127.0.0.1" : parts_->bind;
  const std::string shown = host.find(':') == std::string::npos ? host : format("[{}]", host);
  return format("http://{}:{}/{}", shown, port(), parts_->token.empty() ? "" : "#token=" + parts_->token);
}

void RunningServer::rescan() {
  parts_->mailbox.post(control::CatalogChanged{parts_->catalog->rescan()});
  for (const std::string& problem : parts_->catalog->problems()) log::warn("catalog", "{}", problem);
}

bool RunningServer::failed() const { return parts_->failed; }

int serve(const LoadedConfig& loaded) {
  // Blocked before any thread starts, so that all of them inherit it and only sigwait sees these signals.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  auto started = RunningServer::start(loaded.config, ServerUse::shared);
  if (!started) return cli::report(started.error());
  RunningServer& server = **started;
  std::printf("PixelFleet %s  %s\n", kVersion, server.page_url().c_str());
  std::fflush(stdout);
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) server.rescan();
  log::info("server", "ending: jobs that run now are made again after the next start");
  const bool failed = server.failed();
  started->reset();
  return failed ? cli::kExitSystem : cli::kExitOk;
}

}  // namespace pixelfleet::apps
