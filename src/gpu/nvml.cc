#include "gpu/nvml.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/format.h"
#include "base/utf8.h"
#include "gpu/nvml_internal.h"

namespace pixelfleet::gpu {
namespace {

std::string reason_of(int code) {
  switch (code) {
    case nvml::kNoPermission: return "no permission to use the NVIDIA driver; check the rights of /dev/nvidia*";
    case nvml::kDriverNotLoaded:
      return "the NVIDIA driver is not loaded; load it (modprobe nvidia) or restart the machine";
    case nvml::kOperatingSystem:
      return "the operating system blocks the NVIDIA driver, as happens to containers; restart the container";
    case nvml::kVersionMismatch:
      return "the NVIDIA driver was upgraded while it was in use (library and kernel module differ); restart the "
             "machine";
    default: return format("NVIDIA's management library failed with code {}; try nvidia-smi", code);
  }
}

std::int64_t physical_memory_bytes() {
  return static_cast<std::int64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::int64_t>(::sysconf(_SC_PAGESIZE));
}

// The code with which all gpus fail, unless it is each one's own trouble or one of them works.
std::optional<int> common_failure(const Report& report) {
  if (!report.readings.empty() || report.failing.empty()) return std::nullopt;
  const int code = report.failing.front().code;
  const bool common = std::all_of(report.failing.begin(), report.failing.end(),
                                  [&](const FailingGpu& failing) { return failing.code == code; });
  return common && !nvml::is_gone(code) && code != kNoMigInstance ? std::optional<int>(code) : std::nullopt;
}

void count_xid(std::vector<GpuXid>& xids, int code) {
  const auto found = std::find_if(xids.begin(), xids.end(), [&](const GpuXid& xid) { return xid.code == code; });
  if (found != xids.end()) {
    ++found->count;
  } else {
    xids.push_back({code, 1});
  }
}

// Where the Xids of a gpu belong; null when the report does not know it.
std::vector<GpuXid>* xids_of(Report& report, const GpuUuid& uuid) {
  for (Reading& reading : report.readings) {
    if (reading.gpu.uuid == uuid) return &reading.sample.detail.xids;
  }
  for (FailingGpu& failing : report.failing) {
    if (failing.uuid == uuid) return &failing.xids;
  }
  return nullptr;
}

}  // namespace

std::string sane_name(const char* bytes, std::size_t size) {
  std::string name(bytes, ::strnlen(bytes, size));
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  while (const auto bad = find_invalid_utf8(name)) name[*bad] = '?';
  const auto first = name.find_first_not_of(' ');
  if (first == std::string::npos) return "NVIDIA gpu";
  return name.substr(first, name.find_last_not_of(' ') - first + 1);
}

Nvml::Nvml(void* library, std::unique_ptr<nvml::Functions> functions)
    : library_(library), functions_(std::move(functions)) {
  nvml::EventSet events = nullptr;
  if (functions_->create_events(&events) == nvml::kSuccess) events_ = events;
}

Nvml::~Nvml() {
  if (events_ != nullptr) functions_->free_events(static_cast<nvml::EventSet>(events_));
  functions_->shutdown();
  ::dlclose(library_);
}

std::unique_ptr<Nvml> Nvml::open(const std::string& name, Report& why_not) {
  void* library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    why_not = {Driver::absent, format("no NVIDIA driver is installed: {}", ::dlerror()), {}};
    return nullptr;
  }
  auto functions = std::make_unique<nvml::Functions>(nvml::find_functions(library));
  why_not = {Driver::failing, format("{} lacks functions of NVIDIA's management library", name), {}};
  if (functions->usable()) {
    const int code = functions->init();
    if (code == nvml::kSuccess) return std::unique_ptr<Nvml>(new Nvml(library, std::move(functions)));
    why_not.reason = reason_of(code);
  }
  ::dlclose(library);
  return nullptr;
}

Report Nvml::read() {
  unsigned count = 0;
  const int code = functions_->count(&count);
  if (code == nvml::kNoGpu) return {};
  if (code != nvml::kSuccess) return {Driver::failing, reason_of(code), {}};
  Report report;
  read_versions(report);
  for (unsigned i = 0; i < std::min(count, nvml::kMaxDevices); ++i) read_device(i, report);
  if (const auto failure = common_failure(report)) return {Driver::failing, reason_of(*failure), {}};
  take_xids(report);
  return report;
}

void Nvml::read_versions(Report& report) const {
  char text[nvml::kTextBytes] = {};
  if (functions_->driver_version(text, sizeof text) == nvml::kSuccess) {
    report.driver_version = sane_name(text, sizeof text);
  }
  int cuda = 0;
  if (functions_->cuda_version(&cuda) == nvml::kSuccess && cuda >= 1000 && cuda < 1'000'000) {
    report.cuda_version = format("{}.{}", cuda / 1000, cuda % 1000 / 10);
  }
}

int Nvml::read_identity(unsigned index, void*& device, Gpu& gpu) const {
  nvml::Device handle = nullptr;
  if (const int code = functions_->handle(index, &handle); code != nvml::kSuccess) return code;
  device = handle;
  gpu.index = static_cast<int>(index);
  return read_names(device, gpu);
}

int Nvml::read_names(void* device, Gpu& gpu) const {
  const auto handle = static_cast<nvml::Device>(device);
  char text[nvml::kTextBytes] = {};
  if (const int code = functions_->uuid(handle, text, sizeof text); code != nvml::kSuccess) return code;
  if (text[0] == '\0') return nvml::kUnknown;
  gpu.uuid = sane_name(text, sizeof text);
  gpu.kind = GpuKind::nvidia;
  std::memset(text, 0, sizeof text);
  const int code = functions_->name(handle, text, sizeof text);
  if (nvml::is_gone(code)) return code;
  gpu.name = sane_name(text, code == nvml::kSuccess ? sizeof text : 0);
  return nvml::kSuccess;
}

void Nvml::read_device(unsigned index, Report& report) {
  void* device = nullptr;
  Reading reading;
  nvml::MemorySize memory;
  int code = read_identity(index, device, reading.gpu);
  if (code == nvml::kNoPermission) return;  // somebody else's, as in a container
  if (code == nvml::kSuccess) {
    if (xids_of(report, reading.gpu.uuid) != nullptr) return;  // twice the same card is nonsense
    reading.sample.uuid = reading.gpu.uuid;
    code = nvml::read_sample(*functions_, static_cast<nvml::Device>(device), reading.sample, memory);
  }
  if (code != nvml::kSuccess) {
    const auto known = known_.find(index);
    const GpuUuid uuid = !reading.gpu.uuid.empty() ? reading.gpu.uuid : known != known_.end() ? known->second : "";
    if (xids_of(report, uuid) == nullptr || uuid.empty()) {
      report.failing.push_back({static_cast<int>(index), uuid, code, {}});
    }
    return;
  }
  known_[index] = reading.gpu.uuid;
  watch_for_xids(device, reading.gpu.uuid);
  if (reading.sample.detail.mig_enabled.value_or(false) && read_instances(device, reading, report)) return;
  // A gpu that shares the host's memory has none of its own.
  const bool shares = !memory.bytes && memory.code == nvml::kNotSupported && memory_bytes_[reading.gpu.uuid] == 0;
  add(std::move(reading), shares ? physical_memory_bytes() : memory.bytes, report);
}

void Nvml::add(Reading reading, std::optional<std::int64_t> memory_bytes, Report& report) {
  // A size that is not to be had now is the last one seen.
  auto& remembered = memory_bytes_[reading.gpu.uuid];
  if (memory_bytes) remembered = *memory_bytes;
  reading.gpu.memory_total_bytes = remembered;
  report.readings.push_back(std::move(reading));
}

void Nvml::watch_for_xids(void* device, const GpuUuid& uuid) {
  if (events_ == nullptr) return;
  const auto [place, is_new] = watched_.try_emplace(device, uuid);
  place->second = uuid;
  // A gpu of which Xids cannot be had is not asked again.
  if (is_new) {
    functions_->register_events(static_cast<nvml::Device>(device), nvml::kXidEvents,
                                static_cast<nvml::EventSet>(events_));
  }
}

// Who an Xid is about: the gpu, or of one with MIG the instance that it names, or all where it names none.
std::vector<std::vector<GpuXid>*> Nvml::receivers(Report& report, const GpuUuid& uuid, unsigned instance) const {
  if (auto* const whole = xids_of(report, uuid)) return {whole};
  std::vector<std::vector<GpuXid>*> parts, named;
  for (Reading& reading : report.readings) {
    if (reading.sample.detail.parent_uuid != uuid) continue;
    parts.push_back(&reading.sample.detail.xids);
    const auto id = instance_ids_.find(reading.gpu.uuid);
    if (id != instance_ids_.end() && id->second == instance) named.push_back(parts.back());
  }
  return named.empty() ? parts : named;
}

void Nvml::take_xids(Report& report) {
  // A storm must not hold up the round: what is left comes in the next one.
  constexpr int kMostEvents = 4096;
  for (int i = 0; events_ != nullptr && i < kMostEvents; ++i) {
    nvml::EventData event{};
    const int code = functions_->wait_for_event(static_cast<nvml::EventSet>(events_), &event, 0);
    if (code != nvml::kSuccess) return;
    const auto gpu = watched_.find(event.device);
    if (event.type != nvml::kXidEvents || gpu == watched_.end()) continue;
    if (event.data >= 1000) continue;
    for (auto* const xids : receivers(report, gpu->second, event.gpu_instance)) {
      count_xid(*xids, static_cast<int>(event.data));
    }
  }
}

}  // namespace pixelfleet::gpu
