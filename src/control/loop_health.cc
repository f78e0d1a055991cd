// Loop: what health makes of the gpus, and what becomes of that; models that no gpu could load.
//
// Health and sharing are told by events that queue up while the scheduler's orders are carried out, so that no order
// meets a gpu that an earlier one of the same step has closed.
#include <algorithm>
#include <utility>

#include "base/format.h"
#include "base/json_full.h"
#include "base/log.h"
#include "control/gpu_rows.h"
#include "control/loop.h"
#include "domain/job_json.h"

namespace pixelfleet::control {
namespace {

std::string files_of(const Model& model) {
  std::string text;
  for (const ModelPart& part : model.parts) text += format("{} {} {}\n", part.file, part.bytes, part.hash);
  return text;
}

}  // namespace

void Loop::restore_health(const Restored& restored) {
  std::vector<health::GpuRecord> records;
  bool rebooted = false;
  for (const GpuStateRow& row : restored.gpu_states) {
    const auto record = record_of(row);
    if (!record) continue;
    records.push_back(*record);
    gpu_health_[row.gpu] = shown(row);
    rebooted |= row.boot_id != options_.boot_id;
    set_terms(GpuTerms::Voice::health, row.gpu, verdict_of(record->state));
  }
  health_ = health::Health(records);
  for (const DisabledModel& model : restored.disabled_models) disabled_models_[model.model] = model;
  if (rebooted) tell_health(health::MachineBooted{});
  // A process that did not end was an earlier server's: nobody would tell when it is gone. A canary finds out.
  for (const health::GpuRecord& record : records) {
    if (record.workers == health::Workers::unreapable) tell_health(health::WorkersReaped{record.gpu});
  }
}

// --- what health makes of it ----------------------------------------------------------------------------------

void Loop::tell_health(health::Event event) {
  observations_.emplace_back(std::move(event));
  if (!stepping_) carry_out_observations();
}

void Loop::pass_health_time() {
  if (!health_wake_at_ || now_ < *health_wake_at_) return;
  health_wake_at_.reset();
  tell_health(health::TimerFired{});
}

void Loop::carry_out_observations() {
  const auto carry_out_all = [this](const auto& actions) {
    for (const auto& action : actions) std::visit([this](const auto& a) { carry_out(a); }, action);
  };
  stepping_ = true;
  while (!observations_.empty()) {
    const auto observation = std::move(observations_.front());
    observations_.pop_front();
    if (const auto* event = std::get_if<health::Event>(&observation)) {
      carry_out_all(health_.step(*event, now_));
    } else if (const auto* shared = std::get_if<sharing::Event>(&observation)) {
      carry_out_all(memory_ledger_.step(*shared, now_));
      carry_out_all(sharing_.step(*shared, now_));
    }
  }
  stepping_ = false;
}

void Loop::set_terms(GpuTerms::Voice voice, const GpuUuid& gpu, GpuTerms::Verdict verdict) {
  if (const auto event = terms_.hear(voice, gpu, verdict)) step(*event);
}

void Loop::carry_out(const health::StateChanged& action) {
  const GpuStateRow row = row_of(action, now_, options_.boot_id);
  const std::string text = format("gpu {}: {} -> {} ({}){}{}", row.gpu, row.from, row.state, row.reason,
                                  row.evidence.empty() ? "" : ": ", join(row.evidence, "; "));
  if (takes_work(action.record.state)) {
    log::info("health", "{}", text);
  } else {
    log::warn("health", "{}", text);
  }
  // In quarantine health waits on for the one that runs, whatever else it learns, unless it took too long.
  const bool waits = action.record.state == health::State::quarantined;
  if (!waits || action.record.reason == health::Reason::canary_unanswered) stop_canary_of(row.gpu);
  gpu_health_[row.gpu] = shown(row);
  gpus_changed_ = true;
  change(AppendGpuState{row});
}

void Loop::carry_out(const health::StopWork& action) {
  const bool finish = action.running == health::Running::finish;
  set_terms(GpuTerms::Voice::health, action.gpu, finish ? GpuTerms::Verdict::finish : GpuTerms::Verdict::abandon);
}

void Loop::carry_out(const health::GiveWork& action) {
  const bool full = action.trust == health::Trust::full;
  set_terms(GpuTerms::Voice::health, action.gpu, full ? GpuTerms::Verdict::full : GpuTerms::Verdict::probation);
}

void Loop::carry_out(const health::RunCanary& action) {
  const Gpu* gpu = find_gpu(action.gpu);
  if (gpu == nullptr || !terms_.open_but_for(GpuTerms::Voice::health, action.gpu)) {
    return tell_health(health::CanaryEnded{action.gpu, health::Canary::not_run, {}});
  }
  begin_canary(*gpu);
}

// How often a job is tried is the scheduler's rule: a wrong verdict must not cost anybody a picture.
void Loop::carry_out(const health::BlameJob& action) {
  log::warn("health", "job {} is to blame, not its gpus: {}", action.job.value, action.why);
}

void Loop::carry_out(const health::DisableModel& action) {
  const Model* model = scanned_catalog_->find_model(action.model);
  if (model == nullptr) return;
  log::warn("health", "model {} is disabled: {}", action.model, action.why);
  DisabledModel row{action.model, action.why, action.evidence, files_of(*model), now_};
  change(PutDisabledModel{row});
  disabled_models_[action.model] = std::move(row);
  use_catalog(with_disabled_models(scanned_catalog_));
}

void Loop::carry_out(const health::RaiseAlarm& action) {
  const auto [at, is_new] = alarms_.try_emplace(action.fault);
  Alarm& alarm = at->second;
  if (is_new) alarm.since = now_;
  alarm.fault = name(action.fault);
  alarm.suspect = name(action.suspect);
  alarm.gpus = action.gpus;
  log::error("health", "{} gpus left for the same kind of fault ({}): look at the {}", alarm.gpus.size(), alarm.fault,
             alarm.suspect);
  gpus_changed_ = true;
}

void Loop::carry_out(const health::ClearAlarm& action) {
  if (alarms_.erase(action.fault) > 0) gpus_changed_ = true;
}

void Loop::carry_out(const health::RefuseOrder& action) { refusal_ = action.why; }

void Loop::carry_out(const health::WakeAt& action) { health_wake_at_ = action.at; }

// --- models that no gpu could load ----------------------------------------------------------------------------

CatalogPtr Loop::with_disabled_models(const CatalogPtr& catalog) const {
  if (disabled_models_.empty()) return catalog;
  auto marked = std::make_shared<Catalog>(*catalog);
  for (Model& model : marked->models) {
    const auto disabled = disabled_models_.find(model.key);
    if (disabled == disabled_models_.end() || model.state != ModelState::installed) continue;
    model.state = ModelState::unloadable;
    model.reason = format("it is disabled: {}. Replace its files, or enable it to try again", disabled->second.why);
  }
  return marked;
}

void Loop::forget_replaced_models(const Catalog& catalog) {
  for (auto it = disabled_models_.begin(); it != disabled_models_.end();) {
    const Model* model = catalog.find_model(it->first);
    if (model == nullptr || model->state != ModelState::installed || files_of(*model) == it->second.files) {
      ++it;
      continue;
    }
    log::info("health", "model {} has other files now and is enabled again", it->first);
    change(DropDisabledModel{it->first});
    tell_health(health::ModelReplaced{it->first});
    it = disabled_models_.erase(it);
  }
}

}  // namespace pixelfleet::control
