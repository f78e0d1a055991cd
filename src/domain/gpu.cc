#include "domain/gpu.h"

namespace pixelfleet {

bool is_called(const Gpu& gpu, std::string_view text) {
  constexpr std::size_t kLeastOfUuid = 8;
  if (text == gpu.uuid || text == std::to_string(gpu.index)) return true;
  return text.size() >= kLeastOfUuid && gpu.uuid.compare(0, text.size(), text) == 0;
}

std::string_view name(GpuKind kind) {
  switch (kind) {
    case GpuKind::nvidia: return "nvidia";
    case GpuKind::amd: return "amd";
    case GpuKind::cpu: return "cpu";
    case GpuKind::virtual_gpu: return "virtual";
  }
  return "nvidia";
}

std::string_view name(GpuState state) {
  switch (state) {
    case GpuState::idle: return "idle";
    case GpuState::loading: return "loading";
    case GpuState::busy: return "busy";
    case GpuState::draining: return "draining";
    case GpuState::offline: return "offline";
    case GpuState::unused: return "unused";
    case GpuState::closed: return "closed";
  }
  return "idle";
}

std::optional<GpuKind> gpu_kind_from(std::string_view text) {
  for (const GpuKind kind : {GpuKind::nvidia, GpuKind::amd, GpuKind::cpu, GpuKind::virtual_gpu}) {
    if (text == name(kind)) return kind;
  }
  return std::nullopt;
}

}  // namespace pixelfleet
