// Loop: canaries: before a gpu gets work again, one small picture with a fixed seed shows that it can.
//
// A canary is a worker of its own that the scheduler does not know: its gpu is closed and nothing else runs there. Its
// picture goes nowhere.
#include <algorithm>
#include <utility>

#include "control/gpu_rows.h"
#include "control/loop.h"
#include "control/model_facts.h"
#include "domain/resolve.h"

namespace pixelfleet::control {
namespace {

// The scheduler's ids begin at 1 and never come here; JSON keeps numbers up to 2^53 exactly.
constexpr std::int64_t kFirstCanary = std::int64_t{1} << 52;
constexpr int kSide = 256;
constexpr std::int64_t kSeed = 1;

bool can_run(const Gpu& gpu, const Model& model) {
  return model.state == ModelState::installed && model.memory_bytes <= gpu.memory_total_bytes &&
         (model.is_demo() || gpu.kind != GpuKind::virtual_gpu);
}

// Models whose engine uses the gpu tell most; the smallest of them loads soonest.
const Model* model_for(const Gpu& gpu, const Catalog& catalog) {
  const Model* best = nullptr;
  for (const Model& model : catalog.models) {
    if (!can_run(gpu, model)) continue;
    const auto key = [](const Model& m) { return std::pair(m.is_demo(), m.memory_bytes); };
    if (best == nullptr || key(model) < key(*best)) best = &model;
  }
  return best;
}

JobSpec picture_of(const Model& model) {
  JobSpec spec;
  spec.prompt = "a canary";
  spec.model = model.key;
  spec.width = spec.height = std::clamp(kSide, model.limits.min_side, model.limits.max_side);
  spec.steps = 1;
  return spec;
}

}  // namespace

void Loop::begin_canary(const Gpu& gpu) {
  const Model* model = model_for(gpu, *catalog());
  if (model == nullptr) return tell_health(health::CanaryEnded{gpu.uuid, health::Canary::not_run, {}});
  const WorkerId worker{kFirstCanary + next_canary_++};
  canaries_[worker] = {gpu.uuid, *model};
  tell_worker_to_sharing(worker, gpu.uuid, facts_of(*model, options_.time_scale));
  after_commit([this, spec = WorkerSpec{worker, gpu, *model}] { ports_.workers.start(spec); });
}

void Loop::run_canary(WorkerId worker) {
  const Canary& canary = canaries_.at(worker);
  const auto resolved = resolve(picture_of(canary.model), *catalog());
  if (!resolved) return end_canary(worker, health::Canary::not_run, {});  // the model has gone meanwhile
  canaries_.at(worker).phase = Canary::Phase::running;
  ChunkRequest request{ChunkId{worker.value}, worker, JobId{}, resolved->settings, {{0, kSeed}}};
  after_commit([this, request = std::move(request)] { ports_.workers.run(request); });
}

void Loop::judge_canary(const ImageArrived& image) {
  after_commit([this, worker = image.worker, chunk = image.chunk, index = image.index] {
    ports_.workers.image_taken(worker, chunk, index);
  });
  if (image.pixels && is_one_colour(*image.pixels)) {
    return end_canary(image.worker, health::Canary::failed, {"its picture is of one single colour"});
  }
  canaries_.at(image.worker).has_picture = true;
}

void Loop::end_canary(WorkerId worker, health::Canary result, std::vector<std::string> evidence) {
  const auto canary = canaries_.extract(worker);
  after_commit([this, worker] { ports_.workers.stop(worker); });
  tell_health(health::CanaryEnded{canary.mapped().gpu, result, std::move(evidence)});
}

// Others have come, or it is too hot: what loads is stopped, as it is for jobs; a picture that is begun is finished.
void Loop::put_off_canary_of(const GpuUuid& gpu) {
  for (const auto& [worker, canary] : canaries_) {
    if (canary.gpu != gpu || canary.phase == Canary::Phase::running) continue;
    return end_canary(WorkerId(worker), health::Canary::not_run, {});  // there is one at most
  }
}

void Loop::stop_canary_of(const GpuUuid& gpu) {
  for (auto it = canaries_.begin(); it != canaries_.end();) {
    if (it->second.gpu != gpu) {
      ++it;
      continue;
    }
    after_commit([this, worker = it->first] { ports_.workers.stop(worker); });
    it = canaries_.erase(it);
  }
}

}  // namespace pixelfleet::control
