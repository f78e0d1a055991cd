// The instances of a gpu with MIG: each is a gpu of its own, with its own memory and processes. What belongs to the
// card as a whole (heat, link, what the driver asks for) is each one's too; load and power are nobody's.
#include <algorithm>

#include "gpu/nvml.h"
#include "gpu/nvml_internal.h"

namespace pixelfleet::gpu {
namespace {

template <class T>
void fill(std::optional<T>& value, const std::optional<T>& of_the_card) {
  if (!value) value = of_the_card;
}

void fill_from_card(GpuSample& sample, const GpuSample& card) {
  sample.utilization_ratio.reset();  // drivers that tell one mean the card's
  fill(sample.temperature_celsius, card.temperature_celsius);
  GpuDetail& detail = sample.detail;
  detail.parent_uuid = card.uuid;
  detail.pci_bus_id = card.detail.pci_bus_id;
  detail.mig_enabled = true;
  detail.memory_utilization_ratio.reset();
  fill(detail.temperature_slowdown_celsius, card.detail.temperature_slowdown_celsius);
  fill(detail.temperature_shutdown_celsius, card.detail.temperature_shutdown_celsius);
  fill(detail.throttle_reasons, card.detail.throttle_reasons);
  fill(detail.pcie_generation, card.detail.pcie_generation);
  fill(detail.pcie_width, card.detail.pcie_width);
  fill(detail.pcie_generation_max, card.detail.pcie_generation_max);
  fill(detail.pcie_width_max, card.detail.pcie_width_max);
  fill(detail.display_active, card.detail.display_active);
  fill(detail.recovery_action, card.detail.recovery_action);
}

}  // namespace

// False when this driver cannot list them: then the gpu stands for itself.
bool Nvml::read_instances(void* device, const Reading& whole, Report& report) {
  const auto gpu = static_cast<nvml::Device>(device);
  unsigned most = 0;
  if (functions_->most_instances(gpu, &most) != nvml::kSuccess || !functions_->instance.found()) return false;
  int found = 0;
  for (unsigned i = 0; i < std::min(most, nvml::kMaxInstances); ++i) {
    nvml::Device instance = nullptr;
    const int code = functions_->instance(gpu, i, &instance);
    if (code == nvml::kNotSupported || code == nvml::kFunctionNotFound) return false;
    if (code != nvml::kSuccess) continue;
    ++found;
    read_instance(instance, mig_index(whole.gpu.index, static_cast<int>(i)), whole, report);
  }
  // Nothing can run on it.
  if (found == 0) report.failing.push_back({whole.gpu.index, whole.gpu.uuid, kNoMigInstance, {}});
  return true;
}

void Nvml::read_instance(void* instance, int index, const Reading& whole, Report& report) {
  Reading reading;
  nvml::MemorySize memory;
  int code = read_names(instance, reading.gpu);
  if (code == nvml::kNoPermission) return;
  const bool twice = std::any_of(report.readings.begin(), report.readings.end(),
                                 [&](const Reading& other) { return other.gpu.uuid == reading.gpu.uuid; });
  if (twice) return;
  reading.gpu.index = index;
  reading.sample.uuid = reading.gpu.uuid;
  const auto handle = static_cast<nvml::Device>(instance);
  if (code == nvml::kSuccess) code = nvml::read_sample(*functions_, handle, reading.sample, memory);
  if (code != nvml::kSuccess) {
    report.failing.push_back({index, reading.gpu.uuid, code, {}});
    return;
  }
  unsigned id = nvml::kNoInstance;
  if (functions_->instance_id(handle, &id) == nvml::kSuccess) instance_ids_[reading.gpu.uuid] = id;
  fill_from_card(reading.sample, whole.sample);
  add(std::move(reading), memory.bytes, report);
}

}  // namespace pixelfleet::gpu
