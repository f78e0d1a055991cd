#include "scheduler/cost_model.h"

#include <algorithm>
#include <cctype>
#include <cmath>

namespace pixelfleet::scheduler {
namespace {

constexpr double kOutlierFactor = 3.0;
constexpr double kPriorWeight = 2.0;                  // a parent counts as so many observations
constexpr double kSlowestGain = 0.1;                  // old observations fade: a machine may change
constexpr double kMostOfAChild = 1.0 / kSlowestGain;  // observations that its mean remembers
constexpr double kSpreadGain = 0.02;
constexpr double kMostSeconds = 1e6;  // estimates are finite, whatever the facts say
constexpr double kLeastSeconds = 1e-3;
constexpr double kMostLogRatio = 10.0;  // remembered; a factor of 22000
constexpr double kMostCount = 1e6;

bool contains_ignoring_case(const std::string& text, const std::string& part) {
  const auto same = [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end() || part.empty();
}

}  // namespace

double sane_seconds(double seconds) {
  if (!(seconds >= kLeastSeconds)) return kLeastSeconds;  // NaN too
  return std::min(seconds, kMostSeconds);
}

const std::string& cost_family(const ModelFacts& model) { return model.family.empty() ? model.key : model.family; }

const CostPrior& CostModel::prior_for(const ModelFacts& model, const std::string& gpu_name) {
  static const std::vector<CostPrior> unknown = builtin_priors("");
  const std::vector<CostPrior>& priors = model.priors.empty() ? unknown : model.priors;
  for (const CostPrior& prior : priors) {
    if (contains_ignoring_case(gpu_name, prior.gpu_type)) return prior;
  }
  return priors.back();
}

double CostModel::prior_run_seconds(const RunPrior& prior, const Shape& shape, int images) {
  const double n = std::max(images, 1);
  const double size = std::pow(static_cast<double>(std::max<std::int64_t>(shape.pixels, 1)) / prior.reference_pixels,
                               prior.pixel_exponent);
  return sane_seconds(prior.overhead_seconds * (0.5 + 0.5 * n) +
                      shape.steps * prior.step_seconds * size * (prior.shared + (1.0 - prior.shared) * n));
}

double CostModel::prior_load_seconds(const LoadPrior& prior, double bytes, Tier tier, double disk_bytes_per_second) {
  double seconds = bytes / prior.to_gpu_bytes_per_second;
  if (tier == Tier::disk) seconds = std::max(seconds, bytes / disk_bytes_per_second);
  return sane_seconds(prior.start_seconds + seconds);
}

double CostModel::run_ratio(const ModelFacts& model, const std::string& sampler, const std::string& gpu_name) const {
  const std::string& family = cost_family(model);
  return std::exp(
      estimate({CostRecord::Kind::run, family + '/' + sampler, gpu_name}, {CostRecord::Kind::run, family, gpu_name}));
}

double CostModel::load_ratio(const ModelFacts& model, const std::string& gpu_name, Tier tier) const {
  const auto kind = tier == Tier::host ? CostRecord::Kind::load_from_host : CostRecord::Kind::load_from_disk;
  return std::exp(estimate({kind, model.key, gpu_name}, {kind, "", gpu_name}));
}

std::optional<CostRecord> CostModel::learn_run(const ModelFacts& model, const std::string& sampler,
                                               const std::string& gpu_name, double measured, double predicted) {
  const std::string& family = cost_family(model);
  return learn({CostRecord::Kind::run, family + '/' + sampler, gpu_name}, {CostRecord::Kind::run, family, gpu_name},
               measured, predicted);
}

std::optional<CostRecord> CostModel::learn_load(const ModelFacts& model, const std::string& gpu_name, Tier tier,
                                                double measured, double predicted) {
  const auto kind = tier == Tier::host ? CostRecord::Kind::load_from_host : CostRecord::Kind::load_from_disk;
  return learn({kind, model.key, gpu_name}, {kind, "", gpu_name}, measured, predicted);
}

std::optional<CostRecord> CostModel::learn(const Key& key, const Key& parent, double measured, double predicted) {
  if (!(measured > 0.0) || !(predicted > 0.0) || !std::isfinite(measured) || !std::isfinite(predicted)) {
    return std::nullopt;
  }
  const double now = estimate(key, parent);
  const double limit = std::log(kOutlierFactor);
  const double value = std::clamp(std::log(measured / predicted), now - limit, now + limit);
  (std::get<0>(key) == CostRecord::Kind::run ? run_spread_ : load_spread_).add(value - now);
  Mean mean = means_[key];
  mean.count += 1.0;
  mean.log_ratio += (value - mean.log_ratio) * std::max(1.0 / mean.count, kSlowestGain);
  set(key, parent, mean);
  ++version_;
  return CostRecord{std::get<0>(key), std::get<1>(key), std::get<2>(key), mean.log_ratio, mean.count};
}

void CostModel::remember(const CostRecord& stored) {
  if (!std::isfinite(stored.log_ratio) || !(stored.count > 0.0)) return;
  CostRecord record = stored;
  record.log_ratio = std::clamp(record.log_ratio, -kMostLogRatio, kMostLogRatio);
  record.count = std::clamp(record.count, 1.0, kMostCount);
  // The parent of a run is the part before the sampler; of a load the gpu type alone.
  const std::string parent =
      record.kind == CostRecord::Kind::run ? record.subject.substr(0, record.subject.rfind('/')) : "";
  set({record.kind, record.subject, record.gpu_type}, {record.kind, parent, record.gpu_type},
      {record.log_ratio, record.count});
  ++version_;
}

void CostModel::Spread::add(double deviation) {
  count_ += 1.0;
  variance_ += (deviation * deviation - variance_) * std::max(1.0 / count_, kSpreadGain);
}

double CostModel::Spread::sigma() const { return std::sqrt(variance_); }

void CostModel::set(const Key& key, const Key& parent, const Mean& mean) {
  Mean& before = means_[key];
  Mean& all = parents_[parent];
  const auto weight = [](const Mean& child) { return std::min(child.count, kMostOfAChild); };
  const double sum = all.log_ratio * all.count + mean.log_ratio * weight(mean) - before.log_ratio * weight(before);
  all.count += weight(mean) - weight(before);
  all.log_ratio = sum / all.count;
  before = mean;
}

double CostModel::estimate(const Key& key, const Key& parent) const {
  const auto shrink = [](const std::map<Key, Mean>& means, const Key& at, double towards) {
    const auto found = means.find(at);
    if (found == means.end()) return towards;
    const Mean& mean = found->second;
    return (mean.log_ratio * mean.count + towards * kPriorWeight) / (mean.count + kPriorWeight);
  };
  return shrink(means_, key, shrink(parents_, parent, 0.0));
}

}  // namespace pixelfleet::scheduler
