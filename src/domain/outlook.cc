#include "domain/outlook.h"

#include <array>
#include <cmath>
#include <utility>

#include "base/format.h"
#include "base/json_full.h"

namespace pixelfleet {
namespace {

using Kind = WaitingReason::Kind;

constexpr std::array<std::pair<Kind, std::string_view>, 13> kNames = {{
    {Kind::runs_next, "runs_next"},
    {Kind::waits_for_gpu, "waits_for_gpu"},
    {Kind::waits_for_warm_gpu, "waits_for_warm_gpu"},
    {Kind::model_loading, "model_loading"},
    {Kind::model_staging, "model_staging"},
    {Kind::behind_jobs, "behind_jobs"},
    {Kind::behind_moved_job, "behind_moved_job"},
    {Kind::strict_order, "strict_order"},
    {Kind::gpu_keeps_models, "gpu_keeps_models"},
    {Kind::backing_off, "backing_off"},
    {Kind::no_gpu_fits, "no_gpu_fits"},
    {Kind::gpu_closed, "gpu_closed"},
    {Kind::held, "held"},
}};

// As people say it: "4 s", "3 min", "1.5 h".
std::string spoken(double seconds) {
  if (seconds < 90.0) return format("{:.0f} s", std::max(1.0, std::ceil(seconds)));
  if (seconds < 90.0 * 60.0) return format("{:.0f} min", seconds / 60.0);
  return format("{:.1f} h", seconds / 3600.0);
}

std::string gpu_of(const WaitingReason& reason) {
  return reason.gpu ? format("gpu {}", reason.gpu->index) : std::string("a gpu");
}

std::string in_a_while(const WaitingReason& reason, std::string_view what) {
  return reason.ready_in_s ? format(", {} in {}", what, spoken(*reason.ready_in_s)) : "";
}

std::string jobs(int count) { return format("{} {}", count, count == 1 ? "job" : "jobs"); }

// "X which 3 jobs wait for"
std::string models_and_their_jobs(const WaitingReason& reason) {
  std::string text = format("{}", join(reason.pushes_out, " and "));
  if (reason.jobs_waiting > 0) {
    text += format(" which {} {} for", jobs(reason.jobs_waiting), reason.jobs_waiting == 1 ? "waits" : "wait");
  }
  return text;
}

std::string push_out(const WaitingReason& reason, std::string_view verb) {
  return reason.pushes_out.empty() ? "" : format(" and {} {}", verb, models_and_their_jobs(reason));
}

std::string ahead(const WaitingReason& reason) {
  std::string text = format("{} {} in front of it", jobs(reason.jobs_ahead), reason.jobs_ahead == 1 ? "is" : "are");
  if (reason.own_jobs_ahead == 0 || reason.own_jobs_ahead == reason.jobs_ahead) return text;
  return text + format(", {} of these of the same owner", reason.own_jobs_ahead);
}

std::string_view of_holding(HeldReason held) {
  switch (held) {
    case HeldReason::user: return "somebody holds it; release it to let it start";
    case HeldReason::paused: return "the queue or its owner is paused; resume that to let it start";
    case HeldReason::model_disabled: return "its model is not installed";
    case HeldReason::no_gpu: return "no gpu in use can take it";
    case HeldReason::window: return "it waits for its time window";
    case HeldReason::quota: return "its owner's quota is used up";
  }
  return "";
}

double gib(std::int64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0); }

std::string of_no_gpu(const WaitingReason& reason) {
  if (reason.largest_bytes == 0) return "no gpu that it may use is in use";
  return format("needs {:.1f} GiB of gpu memory; the largest gpu in use that it may use has {:.1f} GiB",
                gib(reason.needed_bytes), gib(reason.largest_bytes));
}

std::string of_waiting_for_gpu(const WaitingReason& reason) {
  std::string text =
      format("all gpus it may use are busy; {} is the first{}", gpu_of(reason), in_a_while(reason, "free"));
  if (reason.load_s) {
    text += format("; loading its model there takes {}{}", spoken(*reason.load_s), push_out(reason, "pushes out"));
  }
  return text;
}

std::string of_warm_gpu(const WaitingReason& reason) {
  std::string text = format("waits for {} which holds the model{}", gpu_of(reason), in_a_while(reason, "free"));
  if (reason.load_s) {
    text += format("; loading elsewhere takes {}{}", spoken(*reason.load_s), push_out(reason, "would push out"));
  }
  return text;
}

}  // namespace

std::string_view name(Kind kind) {
  for (const auto& [known, text] : kNames) {
    if (known == kind) return text;
  }
  return "";
}

std::string to_english(const WaitingReason& reason) {
  switch (reason.kind) {
    case Kind::runs_next: return format("runs next on {}{}", gpu_of(reason), in_a_while(reason, "free"));
    case Kind::waits_for_gpu: return of_waiting_for_gpu(reason);
    case Kind::waits_for_warm_gpu: return of_warm_gpu(reason);
    case Kind::model_loading:
      return format("its model is loading on {}{}", gpu_of(reason), in_a_while(reason, "ready"));
    case Kind::model_staging: return format("its model is being read into host memory{}", in_a_while(reason, "there"));
    case Kind::behind_jobs: return ahead(reason);
    case Kind::behind_moved_job:
      return reason.other ? format("job {} was moved in front of it and goes first", reason.other->value)
                          : std::string("a job was moved in front of it and goes first");
    case Kind::strict_order: return "one gpu takes the jobs in order: " + ahead(reason);
    case Kind::gpu_keeps_models:
      return format("{} stays with {}; loading there does not pay yet", gpu_of(reason), models_and_their_jobs(reason));
    case Kind::backing_off:
      return format("its worker did not start on {}{}", gpu_of(reason), in_a_while(reason, "next try"));
    case Kind::gpu_closed:
      return format("{} could take it, but gets no work for now; see that gpu for why, and to use it anyway",
                    gpu_of(reason));
    case Kind::no_gpu_fits: return of_no_gpu(reason);
    case Kind::held: return std::string(reason.held ? of_holding(*reason.held) : "");
  }
  return "";
}

Json to_json(const WaitingReason& reason) {
  Json json = {{"kind", name(reason.kind)}, {"text", to_english(reason)}};
  if (reason.gpu) {
    json["gpu"] = reason.gpu->uuid;
    json["gpu_index"] = reason.gpu->index;
  }
  if (!reason.model.empty()) json["model"] = reason.model;
  const auto tenths = [](double seconds) { return std::round(seconds * 10.0) / 10.0; };
  if (reason.ready_in_s) json["ready_in_s"] = tenths(*reason.ready_in_s);
  if (reason.load_s) json["load_s"] = tenths(*reason.load_s);
  if (!reason.pushes_out.empty()) {
    json["pushes_out"] = reason.pushes_out;
    json["jobs_waiting"] = reason.jobs_waiting;
  }
  if (reason.kind == Kind::behind_jobs || reason.kind == Kind::strict_order) {
    json["jobs_ahead"] = reason.jobs_ahead;
    json["own_jobs_ahead"] = reason.own_jobs_ahead;
  }
  if (reason.other) json["other_job"] = reason.other->value;
  if (reason.held) json["held_reason"] = name(*reason.held);
  if (reason.kind == Kind::no_gpu_fits) {
    json["needed_bytes"] = reason.needed_bytes;
    json["largest_bytes"] = reason.largest_bytes;
  }
  return json;
}

Json to_json(const StartInterval& start) {
  return {{"earliest_ms", to_unix_ms(start.earliest)},
          {"latest_ms", start.latest ? Json(to_unix_ms(*start.latest)) : Json(nullptr)}};
}

}  // namespace pixelfleet
