// Faults that a demo model can be told to have, for tests of everything that must survive them.
//
// A model's fault script is a list with commas: "prompt" lets the model obey directives in prompts, `[fault:crash@3]`;
// "load:oom" strikes while the model is loaded; any other fault strikes in every image. Without a script directives
// are ordinary prompt text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pixelfleet::engine::synthetic {

enum class FaultKind {
  crash,  // abort()
  hang,   // never returns and does not listen to cancel
  exit,   // exit(value)
  oom,    // a failure of class out_of_memory
  error,  // a failure of class engine_error
  black,  // a picture without any variance, as engines give after an overflow
  slow,   // every step takes `value` times as long
};

struct Fault {
  FaultKind kind = FaultKind::crash;
  int step = 0;  // before which step it strikes; 0 = before the first
  int value = 0;
};

// "crash@3", "exit=13@2", "slow=5".
Result<Fault> parse_fault(std::string_view text);

struct FaultScript {
  bool prompts = false;  // obey directives in prompts
  std::optional<Fault> load;
  std::optional<Fault> image;
};

// "prompt,load:slow=3".
Result<FaultScript> parse_fault_script(std::string_view text);

// The first directive of a prompt, if it has one; an error if it has one that makes no sense.
Result<std::optional<Fault>> fault_of_prompt(std::string_view prompt);

}  // namespace pixelfleet::engine::synthetic
