#include "sharing/memory_ledger.h"

#include <algorithm>
#include <utility>

#include "sharing/turn_internal.h"

namespace pixelfleet::sharing {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr Duration kGrowsAfter = std::chrono::seconds{30};
constexpr std::int64_t kGrowthWorthTelling = 256 * kMiB;
constexpr std::int64_t kMostShrinkUntold = 64 * kMiB;  // the margin bears it, as long as it is four times as large
constexpr Duration kDiscrepancyLasts = std::chrono::seconds{10};
constexpr std::int64_t kLeastDiscrepancy = 512 * kMiB;

bool is_shared(const Gpu& gpu) { return gpu.kind == GpuKind::nvidia || gpu.kind == GpuKind::amd; }

}  // namespace

MemoryLedger::MemoryLedger(Settings settings) : settings_(sane(std::move(settings))) {}

std::vector<LedgerAction> MemoryLedger::step(const Event& event, Instant now) {
  now_ = now;
  holdings_.apply(event, now);
  if (const auto* changed = std::get_if<SettingsChanged>(&event)) {
    settings_ = sane(changed->settings);
    for (auto& [uuid, account] : accounts_) plan(account, Growth::at_once);
  } else if (const auto* arrived = std::get_if<GpuArrived>(&event)) {
    Account& account = accounts_[arrived->gpu.uuid];
    if (account.presence == Account::Presence::gone) account.plan_bytes.reset();
    account.presence = Account::Presence::there;
    account.gpu = arrived->gpu;
    plan(account, Growth::at_once);
  } else if (const auto* gone = std::get_if<GpuGone>(&event)) {
    const auto found = accounts_.find(gone->gpu);
    if (found != accounts_.end()) found->second.presence = Account::Presence::gone;
  } else if (const auto* sampled = std::get_if<GpuSampled>(&event)) {
    on_sample(sampled->sample);
  }
  return std::exchange(actions_, {});
}

void MemoryLedger::on_sample(const GpuSample& sample) {
  const auto found = accounts_.find(sample.uuid);
  if (found == accounts_.end() || found->second.presence == Account::Presence::gone) return;
  Account& account = found->second;
  if (!is_shared(account.gpu) || sample.detail.driver_code) return;
  const Split split = holdings_.split(sample, account.gpu.memory_total_bytes, now_);
  account.ours = split.ours;
  if (split.not_ours) {
    account.others_bytes = std::clamp(account.others_bytes, split.not_ours->least, split.not_ours->most);
  }
  compare(account, split, sample);
  plan(account, Growth::slowly);
}

// What the driver says of our workers against what they say themselves. Where it does not name them it can only show
// that they hold less.
void MemoryLedger::compare(Account& account, const Split& split, const GpuSample& sample) {
  std::optional<std::int64_t> driver = split.ours_by_driver;
  if (!driver) {
    const auto occupied = occupied_bytes(sample, account.gpu.memory_total_bytes);
    if (occupied && *occupied < split.believed.least) driver = occupied;
  }
  const std::int64_t measured =
      driver.value_or(std::clamp(account.driver_bytes, split.believed.least, split.believed.most));
  account.driver_bytes = measured;
  account.discrepancy_bytes = measured - std::clamp(measured, split.believed.least, split.believed.most);
  const std::int64_t limit = std::max(kLeastDiscrepancy, split.believed.most / 10);
  const std::int64_t size = std::abs(account.discrepancy_bytes);
  const bool found = account.discrepancy_since.has_value();
  if ((size > (found ? limit / 2 : limit)) == found) return account.doubted_since.reset();
  if (!account.doubted_since) account.doubted_since = now_;
  if (now_ - *account.doubted_since < kDiscrepancyLasts) return;
  account.doubted_since.reset();
  if (found) {
    account.discrepancy_since.reset();
    actions_.push_back(DiscrepancyEnded{account.gpu.uuid});
  } else {
    account.discrepancy_since = now_;
    const std::int64_t believed = std::clamp(measured, split.believed.least, split.believed.most);
    actions_.push_back(DiscrepancyFound{account.gpu.uuid, believed, measured});
  }
}

std::optional<std::int64_t> MemoryLedger::possible_bytes(const Account& account) const {
  const std::int64_t total = account.gpu.memory_total_bytes;
  if (total <= 0) return std::nullopt;
  if (!is_shared(account.gpu)) return total;
  return std::max<std::int64_t>(0, total - account.others_bytes - settings_.margin_bytes);
}

void MemoryLedger::plan(Account& account, Growth growth) {
  const auto possible = possible_bytes(account);
  if (account.presence == Account::Presence::gone) return;
  if (!possible) return account.plan_bytes.reset();
  if (!account.plan_bytes || growth == Growth::at_once) return tell(account, *possible);
  const std::int64_t change = *possible - *account.plan_bytes;
  if (change < -std::min(kMostShrinkUntold, settings_.margin_bytes / 4)) return tell(account, *possible);
  // A gpu that nobody has anything on any more is worth the last megabyte, too.
  const bool worth_it = change >= kGrowthWorthTelling || (change > 0 && account.others_bytes == 0);
  if (!worth_it) return account.growing_since.reset();
  if (!account.growing_since) {
    account.growing_since = now_;
    account.growing_bytes = *possible;
  }
  account.growing_bytes = std::min(account.growing_bytes, *possible);
  if (now_ - *account.growing_since >= kGrowsAfter) tell(account, account.growing_bytes);
}

void MemoryLedger::tell(Account& account, std::int64_t plan_bytes) {
  account.growing_since.reset();
  if (account.plan_bytes == plan_bytes) return;
  account.plan_bytes = plan_bytes;
  actions_.push_back(PlanChanged{account.gpu.uuid, plan_bytes});
}

std::vector<MemoryPlan> MemoryLedger::gpus() const {
  std::vector<MemoryPlan> plans;
  for (const auto& [uuid, account] : accounts_) {
    if (account.presence == Account::Presence::gone) continue;
    MemoryPlan plan;
    plan.gpu = uuid;
    plan.total_bytes = account.gpu.memory_total_bytes;
    plan.plan_bytes = account.plan_bytes;
    plan.margin_bytes = is_shared(account.gpu) ? settings_.margin_bytes : 0;
    plan.others_bytes = account.others_bytes;
    plan.ours = account.ours;
    plan.believed_bytes = holdings_.peaks_on(uuid);
    const std::int64_t held = std::max(plan.believed_bytes, plan.believed_bytes + account.discrepancy_bytes);
    if (plan.plan_bytes) plan.over_bytes = std::max<std::int64_t>(0, held - *plan.plan_bytes);
    plan.discrepancy_bytes = account.discrepancy_bytes;
    plan.discrepancy_since = account.discrepancy_since;
    plans.push_back(plan);
  }
  return plans;
}

}  // namespace pixelfleet::sharing
