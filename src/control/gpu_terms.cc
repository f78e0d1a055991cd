#include "control/gpu_terms.h"

#include <algorithm>

namespace pixelfleet::control {
namespace {

using Verdict = GpuTerms::Verdict;
using Closed = scheduler::GpuClosed::Workers;

scheduler::Event event_for(const GpuUuid& gpu, Verdict verdict) {
  switch (verdict) {
    case Verdict::full: return scheduler::GpuOpened{gpu, scheduler::Trust::full};
    case Verdict::probation: return scheduler::GpuOpened{gpu, scheduler::Trust::probation};
    case Verdict::rest: return scheduler::GpuClosed{gpu, Closed::rest};
    case Verdict::finish: return scheduler::GpuClosed{gpu, Closed::finish};
    case Verdict::abandon: return scheduler::GpuClosed{gpu, Closed::abandon};
  }
  return scheduler::GpuOpened{gpu, scheduler::Trust::full};
}

}  // namespace

std::optional<scheduler::Event> GpuTerms::hear(Voice voice, const GpuUuid& gpu, Verdict verdict) {
  auto& verdicts = verdicts_[gpu];
  const Verdict before = *std::max_element(verdicts.begin(), verdicts.end());
  verdicts[static_cast<std::size_t>(voice)] = verdict;
  const Verdict now = *std::max_element(verdicts.begin(), verdicts.end());
  if (now == before) return std::nullopt;
  return event_for(gpu, now);
}

bool GpuTerms::open_but_for(Voice voice, const GpuUuid& gpu) const {
  const auto found = verdicts_.find(gpu);
  if (found == verdicts_.end()) return true;
  for (std::size_t i = 0; i < kVoices; ++i) {
    if (i != static_cast<std::size_t>(voice) && found->second[i] > Verdict::probation) return false;
  }
  return true;
}

}  // namespace pixelfleet::control
