#include "engine/synthetic/faults.h"

#include <array>
#include <charconv>
#include <utility>

#include "base/format.h"

namespace pixelfleet::engine::synthetic {
namespace {

constexpr std::array<std::pair<std::string_view, FaultKind>, 7> kKinds{{
    {"crash", FaultKind::crash},
    {"hang", FaultKind::hang},
    {"exit", FaultKind::exit},
    {"oom", FaultKind::oom},
    {"error", FaultKind::error},
    {"black", FaultKind::black},
    {"slow", FaultKind::slow},
}};

bool read_number(std::string_view text, int& out) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
  return problem == std::errc() && end == text.data() + text.size() && out >= 0;
}

}  // namespace

Result<Fault> parse_fault(std::string_view text) {
  const auto refuse = [&] {
    return fail(ErrorCode::invalid_argument,
                format("fault \"{}\": allowed are crash, hang, exit, oom, error, black and slow, each with an optional "
                       "=NUMBER and @STEP, as in exit=13@2",
                       text));
  };
  Fault fault;
  std::string_view rest = text;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    if (!read_number(rest.substr(at + 1), fault.step)) return refuse();
    rest = rest.substr(0, at);
  }
  if (const std::size_t equals = rest.find('='); equals != std::string_view::npos) {
    if (!read_number(rest.substr(equals + 1), fault.value)) return refuse();
    rest = rest.substr(0, equals);
  }
  for (const auto& [word, kind] : kKinds) {
    if (word != rest) continue;
    fault.kind = kind;
    return fault;
  }
  return refuse();
}

Result<FaultScript> parse_fault_script(std::string_view text) {
  constexpr std::string_view kLoad = "load:";
  FaultScript script;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (item == "prompt") {
      script.prompts = true;
      continue;
    }
    const bool for_load = item.starts_with(kLoad);
    Result<Fault> fault = parse_fault(for_load ? item.substr(kLoad.size()) : item);
    if (!fault) return fail(fault.error());
    (for_load ? script.load : script.image) = *fault;
  }
  return script;
}

Result<std::optional<Fault>> fault_of_prompt(std::string_view prompt) {
  constexpr std::string_view kOpen = "[fault:";
  const std::size_t start = prompt.find(kOpen);
  if (start == std::string_view::npos) return std::optional<Fault>();
  const std::string_view rest = prompt.substr(start + kOpen.size());
  Result<Fault> fault = parse_fault(rest.substr(0, rest.find(']')));
  if (!fault) return fail(fault.error());
  return std::optional<Fault>(*fault);
}

}  // namespace pixelfleet::engine::synthetic
