// mold-legacy; the rules stand in rival_mold_legacy.h.
#include "simulator/rival_mold_legacy.h"

namespace pixelfleet::simulator {
namespace {

constexpr std::size_t kChannel = 2;
constexpr std::size_t kBuffer = 8;
constexpr int kMaxDeferrals = 3;

std::size_t at(int index) { return static_cast<std::size_t>(index); }

}  // namespace

std::optional<Order> MoldLegacy::next(const FleetView& fleet) {
  channels_.resize(at(fleet.gpu_count()));
  take_back_from_lost_gpus(fleet);
  dispatch(fleet);
  for (const int gpu : idle_gpus(fleet)) {
    std::deque<int>& channel = channels_[at(gpu)];
    if (channel.empty()) continue;
    const int job = channel.front();
    channel.pop_front();
    is_dispatched_[job] = 0;
    return RunJob{job, gpu};
  }
  return std::nullopt;
}

void MoldLegacy::take_back_from_lost_gpus(const FleetView& fleet) {
  for (int gpu = 0; gpu < fleet.gpu_count(); ++gpu) {
    if (fleet.is_up(gpu)) continue;
    for (const int job : channels_[at(gpu)]) is_dispatched_[job] = 0;
    channels_[at(gpu)].clear();
  }
}

// Until the line is empty or every gpu that could take its choice is full.
void MoldLegacy::dispatch(const FleetView& fleet) {
  while (true) {
    const std::vector<int> buffer = buffered(fleet);
    if (buffer.empty()) return;
    const int chosen = pick(fleet, buffer);
    const int job = buffer[at(chosen)];
    const std::optional<int> gpu = place(fleet, fleet.job(job).model);
    if (!gpu) return;
    for (int i = 0; i < chosen; ++i) ++deferrals_[buffer[at(i)]];
    channels_[at(*gpu)].push_back(job);
    is_dispatched_[job] = 1;
  }
}

std::vector<int> MoldLegacy::buffered(const FleetView& fleet) {
  std::vector<int> buffer;
  for (const int job : fleet.waiting()) {
    if (is_dispatched_[job]) continue;
    buffer.push_back(job);
    if (buffer.size() == kBuffer) break;
  }
  return buffer;
}

int MoldLegacy::pick(const FleetView& fleet, const std::vector<int>& buffer) {
  if (deferrals_[buffer.front()] >= kMaxDeferrals) return 0;
  for (std::size_t i = 0; i < buffer.size(); ++i) {
    const int model = fleet.job(buffer[i]).model;
    for (int gpu = 0; gpu < fleet.gpu_count(); ++gpu) {
      if (fleet.is_up(gpu) && is_warm(fleet, gpu, model)) return static_cast<int>(i);
    }
  }
  return 0;
}

std::optional<int> MoldLegacy::place(const FleetView& fleet, int model) const {
  enum Class { warm_idle, idle_empty, warm_busy, rest };
  std::optional<int> best;
  std::pair<int, double> best_key;
  for (int gpu = 0; gpu < fleet.gpu_count(); ++gpu) {
    if (!fleet.is_up(gpu) || !fleet.fits(model, gpu) || channels_[at(gpu)].size() >= kChannel) continue;
    const int busy = in_flight(fleet, gpu);
    std::pair<int, double> key{rest, -fleet.memory_bytes(gpu)};
    if (is_warm(fleet, gpu, model)) {
      key = {busy == 0 ? warm_idle : warm_busy, busy};
    } else if (busy == 0 && fleet.residents(gpu).empty()) {
      key = {idle_empty, fleet.memory_bytes(gpu)};
    }
    if (best && key >= best_key) continue;
    best = gpu;
    best_key = key;
  }
  return best;
}

int MoldLegacy::in_flight(const FleetView& fleet, int gpu) const {
  return (fleet.is_idle(gpu) ? 0 : 1) + static_cast<int>(channels_[at(gpu)].size());
}

// Also while it loads the model: mold counts what a gpu works on as loaded there.
bool MoldLegacy::is_warm(const FleetView& fleet, int gpu, int model) const {
  return fleet.holds(gpu, model) || fleet.model_loading(gpu) == model;
}

}  // namespace pixelfleet::simulator
