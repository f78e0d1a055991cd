#include "scheduler/trace.h"

#include "base/format.h"

namespace pixelfleet::scheduler {
namespace {

template <class Indices>
std::string list(const Indices& indices) {
  std::string text;
  for (const int index : indices) text += format("{}{}", text.empty() ? "" : " ", index);
  return "[" + text + "]";
}

std::string_view word(ChunkOutcome outcome) {
  switch (outcome) {
    case ChunkOutcome::done: return "done";
    case ChunkOutcome::cancelled: return "cancelled";
    case ChunkOutcome::failed: return "failed";
  }
  return "?";
}

std::string describe_cost(const CostRecord& record) {
  return format("{} {} {} log ratio {:.6f} count {:.3f}", static_cast<int>(record.kind), record.subject,
                record.gpu_type, record.log_ratio, record.count);
}

struct EventText {
  std::string operator()(const PolicyChanged& e) const {
    return format("PolicyChanged multi_gpu={} max_gpus={} single_gpu={} resident_limit={}", e.policy.multi_gpu,
                  e.policy.max_gpus, e.policy.single_gpu, e.policy.resident_limit);
  }
  std::string operator()(const GpuArrived& e) const {
    return format("GpuArrived {} index {} bytes {}", e.gpu.uuid, e.gpu.index, e.gpu.memory_total_bytes);
  }
  std::string operator()(const GpuLost& e) const { return format("GpuLost {}", e.gpu); }
  std::string operator()(const GpuOpened& e) const {
    return format("GpuOpened {} {}", e.gpu, e.trust == Trust::full ? "full" : "probation");
  }
  std::string operator()(const GpuClosed& e) const {
    static constexpr const char* kWorkers[] = {"rest", "finish", "abandon"};
    return format("GpuClosed {} {}", e.gpu, kWorkers[static_cast<int>(e.workers)]);
  }
  std::string operator()(const GpuMemoryPlanned& e) const {
    return format("GpuMemoryPlanned {} {}", e.gpu, e.bytes ? format("{}", *e.bytes) : "all");
  }
  std::string operator()(const ModelKnown& e) const {
    return format("ModelKnown {} bytes {}", e.model.key, e.model.memory_bytes);
  }
  std::string operator()(const ModelForgotten& e) const { return format("ModelForgotten {}", e.model); }
  std::string operator()(const JobSubmitted& e) const {
    return format("JobSubmitted {} model {} {} rank {} pin {} held {} missing {}{}", e.job.id.value, e.job.model,
                  name(e.job.priority), e.job.rank, e.job.pin.value_or("any"), e.job.held ? name(*e.job.held) : "no",
                  list(e.job.missing), e.job.cancel_requested ? " cancel_requested" : "");
  }
  std::string operator()(const JobCancelRequested& e) const { return format("JobCancelRequested {}", e.job.value); }
  std::string operator()(const JobHeld& e) const { return format("JobHeld {} {}", e.job.value, name(e.reason)); }
  std::string operator()(const JobReleased& e) const { return format("JobReleased {}", e.job.value); }
  std::string operator()(const JobMoved& e) const {
    return format("JobMoved {} {} {}", e.job.value, e.side == JobMoved::Side::before ? "before" : "after",
                  e.other.value);
  }
  std::string operator()(const JobReprioritised& e) const {
    return format("JobReprioritised {} {}", e.job.value, name(e.priority));
  }
  std::string operator()(const JobPinned& e) const {
    return format("JobPinned {} {}", e.job.value, e.pin.value_or("any"));
  }
  std::string operator()(const QueuePaused& e) const { return format("QueuePaused {}", e.owner.value_or("all")); }
  std::string operator()(const QueueResumed& e) const { return format("QueueResumed {}", e.owner.value_or("all")); }
  std::string operator()(const WorkerReady& e) const { return format("WorkerReady {}", e.worker.value); }
  std::string operator()(const WorkerLost& e) const {
    return format("WorkerLost {} {} blame {}", e.worker.value, e.failure.code, e.blame == Blame::job ? "job" : "none");
  }
  std::string operator()(const ModelUnloadable& e) const { return format("ModelUnloadable {}", e.worker.value); }
  std::string operator()(const ImageMade& e) const { return format("ImageMade {} {}", e.chunk.value, e.index); }
  std::string operator()(const ChunkProgress& e) const {
    return format("ChunkProgress {} {} step {}/{}", e.chunk.value, e.index, e.step, e.steps);
  }
  std::string operator()(const ModelStaged& e) const { return format("ModelStaged {}", e.model); }
  std::string operator()(const ModelUnstaged& e) const { return format("ModelUnstaged {}", e.model); }
  std::string operator()(const CostRemembered& e) const { return "CostRemembered " + describe_cost(e.record); }
  std::string operator()(const ChunkEnded& e) const {
    return format("ChunkEnded {} {} {}", e.chunk.value, word(e.outcome), e.failure.code);
  }
  std::string operator()(const ImagePublished& e) const { return format("ImagePublished {} {}", e.job.value, e.index); }
  std::string operator()(const ImageRejected& e) const { return format("ImageRejected {} {}", e.job.value, e.index); }
  std::string operator()(const JobUnpublishable& e) const { return format("JobUnpublishable {}", e.job.value); }
  std::string operator()(const TimerFired&) const { return "TimerFired"; }
  std::string operator()(const ServerRestarted&) const { return "ServerRestarted"; }
};

struct ActionText {
  std::string operator()(const StartWorker& a) const {
    return format("StartWorker {} {} {}", a.worker.value, a.gpu, a.model);
  }
  std::string operator()(const StopWorker& a) const { return format("StopWorker {}", a.worker.value); }
  std::string operator()(const StartChunk& a) const {
    return format("StartChunk {} worker {} job {} {}", a.chunk.value, a.worker.value, a.job.value, list(a.indices));
  }
  std::string operator()(const CancelChunk& a) const {
    return format("CancelChunk {} worker {}", a.chunk.value, a.worker.value);
  }
  std::string operator()(const AbandonChunk& a) const {
    return format("AbandonChunk {} {}", a.chunk.value, a.failure.code);
  }
  std::string operator()(const SetJobState& a) const {
    std::string text = format("SetJobState {} {}", a.job.value, name(a.state));
    if (a.held) text += format(" {}", name(*a.held));
    if (a.error) text += format(" {}", a.error->code);
    if (a.worker_deaths > 0) text += format(" deaths {}", a.worker_deaths);
    return text;
  }
  std::string operator()(const SetJobOrder& a) const {
    return format("SetJobOrder {} {} rank {} pin {}", a.job.value, name(a.priority), a.rank, a.pin.value_or("any"));
  }
  std::string operator()(const StageModel& a) const { return format("StageModel {}", a.model); }
  std::string operator()(const UnstageModel& a) const { return format("UnstageModel {}", a.model); }
  std::string operator()(const RememberCost& a) const { return "RememberCost " + describe_cost(a.record); }
  std::string operator()(const WakeAt& a) const { return format("WakeAt {}", a.at.time_since_epoch().count()); }
};

}  // namespace

std::string describe(const Event& event) { return std::visit(EventText{}, event); }

std::string describe(const Action& action) { return std::visit(ActionText{}, action); }

}  // namespace pixelfleet::scheduler
