#include "health/xid.h"

#include <algorithm>
#include <iterator>

namespace pixelfleet::health {
namespace {

struct Row {
  int first;
  int last;
  XidClass answer;
};

// Ascending. What is not listed is restart_app: 13, 31, 32, 39-41, 68-72, 80, 94 (a contained memory error) and others.
constexpr Row kTable[] = {
    {14, 14, XidClass::ignore},
    {37, 38, XidClass::ignore},
    {43, 44, XidClass::ignore},    // 43: usually the process was ended
    {45, 45, XidClass::workflow},  // clean-up after another Xid
    {46, 46, XidClass::reset_gpu},
    {48, 48, XidClass::workflow},  // double bit error: 63, 64, 94 or 95 follows
    {62, 62, XidClass::reset_gpu},
    {63, 63, XidClass::ignore},  // a row remap is pending
    {64, 64, XidClass::reset_gpu},
    {66, 67, XidClass::ignore},
    {74, 74, XidClass::workflow},  // NVLink
    {79, 79, XidClass::restart_machine},
    {92, 93, XidClass::ignore},
    {95, 95, XidClass::reset_gpu},  // an uncontained memory error
    {106, 108, XidClass::ignore},
    {109, 110, XidClass::reset_gpu},
    {119, 120, XidClass::reset_gpu},  // the gpu's system processor
    {121, 121, XidClass::ignore},
    {136, 136, XidClass::reset_gpu},
    {137, 137, XidClass::ignore},
    {140, 140, XidClass::reset_gpu},
    {141, 141, XidClass::ignore},
    {143, 143, XidClass::reset_gpu},
    {144, 150, XidClass::workflow},  // NVLink
    {152, 153, XidClass::ignore},
    {154, 154, XidClass::workflow},  // the recovery action changed: the next sample tells it
    {155, 156, XidClass::reset_gpu},
    {157, 157, XidClass::ignore},
    {158, 158, XidClass::reset_gpu},
    {160, 161, XidClass::ignore},
};

}  // namespace

XidClass xid_class(int number) {
  const Row* row = std::lower_bound(std::begin(kTable), std::end(kTable), number,
                                    [](const Row& entry, int wanted) { return entry.last < wanted; });
  return row != std::end(kTable) && row->first <= number ? row->answer : XidClass::restart_app;
}

bool counts_against_gpu(int number) {
  return xid_class(number) == XidClass::restart_app || number == 45 || number == 48;
}

std::string_view name(XidClass xid) {
  switch (xid) {
    case XidClass::restart_app: return "restart_app";
    case XidClass::reset_gpu: return "reset_gpu";
    case XidClass::restart_machine: return "restart_machine";
    case XidClass::workflow: return "workflow";
    case XidClass::ignore: return "ignore";
  }
  return "restart_app";
}

}  // namespace pixelfleet::health
