// Ablation: what each part of amp is worth, by leaving out one at a time.
#pragma once

#include <string>
#include <vector>

#include "simulator/study.h"
#include "simulator/summary.h"

namespace pixelfleet::simulator {

// amp as it is, under the label "amp", then amp with one thing changed under a label that says which.
std::vector<Contender> ablation_contenders();

// One line for each: geometric means of waits and loads under slow loads, T9's and T10's mean wait, what splitting and
// user ranks are for (T2's large jobs, T7's light users), the mean wait under fast loads; each with its change against
// amp. The study has the regimes slow and fast.
std::string ablation_text(const Study& study, const Summary& summary);

}  // namespace pixelfleet::simulator
