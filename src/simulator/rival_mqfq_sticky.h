// mqfq-sticky: models share the gpus fairly in virtual time, and stick to warm gpus within a bounded over-run.
//
// Re-implements MQFQ-Sticky (Fuerst et al., 2025) as in its authors' Iluvatar worker: one flow for each model. A job's
// start tag is the later of virtual time and its flow's last finish tag; its finish tag adds its service. Virtual time
// is the smallest start tag of any flow with work. A flow whose next start tag lies more than 10 s ahead is throttled.
// Of the others a gpu takes the earliest whose model it holds, else the earliest. A flow that ran empty keeps its model
// for another 2 s: a cold load then goes to another idle gpu, if there is one. Simplified: service is the predicted run
// on the fastest gpu instead of a running average; one job at a time on a gpu; the flow's grace decides where to load,
// not what is evicted there.
#pragma once

#include <optional>
#include <vector>

#include "simulator/rival.h"
#include "simulator/rival_fleet.h"

namespace pixelfleet::simulator {

class MqfqSticky : public Rival {
 public:
  std::optional<Order> next(const FleetView& fleet) override;

 private:
  struct Head {
    int model = 0;
    int job = 0;
    double start_tag = 0.0;
  };

  void tag_arrivals(const FleetView& fleet);
  std::vector<Head> heads(const FleetView& fleet);  // of the flows with work, earliest start tag first
  int gpu_for_load(const FleetView& fleet, int model) const;
  bool is_kept(const FleetView& fleet, int gpu) const;

  double virtual_time_ = 0.0;
  Table<double> start_tag_{-1.0};       // by job; -1: not yet tagged
  Table<double> last_finish_tag_{0.0};  // by model
  Table<int> head_of_{-1};              // by model; only for the decision at hand
};

}  // namespace pixelfleet::simulator
