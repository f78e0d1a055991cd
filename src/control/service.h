// Service: the control loop as HTTP sees it: commands with replies, the live picture, and the event feed.
//
// Thread-safe. Replies are called on the control thread and must only hand over (post to an io_context, notify).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/ports.h"

namespace pixelfleet::control {

// Ends the subscription when destroyed; after the destructor returns the callback is not running and never runs again.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

class Service {
 public:
  virtual ~Service() = default;

  // Accepts all or none; the reply comes after the commit. resource_exhausted when the mailbox is full.
  virtual void submit(std::vector<JobSpec> specs, Reply<SubmitReceipt> reply) = 0;
  virtual void cancel(JobId job, Reply<Job> reply) = 0;
  // Cancels all it can, or none when one of the ids never was (not_found).
  virtual void cancel_many(CancelSelection selection, Reply<CancelReceipt> reply) = 0;
  // conflict when the job's state does not allow it; the message says what would.
  virtual void order(JobId job, JobOrder order, Reply<Job> reply) = 0;
  virtual void pause_queue(PauseQueue::Wish wish, std::optional<std::string> owner, Reply<Pauses> reply) = 0;
  // `gpu`: its number, UUID or the beginning of that. conflict when its condition does not allow it.
  virtual void order_gpu(GpuUuid gpu, OrderGpu::Wish wish, Reply<GpuStatus> reply) = 0;
  virtual void override_gpu(GpuUuid gpu, std::chrono::minutes minutes, Reply<GpuStatus> reply) = 0;
  virtual void enable_model(ModelKey model, Reply<Model> reply) = 0;
  virtual void change_settings(std::string changes_json, Reply<LiveSettings> reply) = 0;
  virtual void add_upload(Upload upload, Reply<Upload> reply) = 0;  // the id is given by the loop

  virtual LiveStatePtr live() const = 0;
  virtual LiveSettings settings() const = 0;
  virtual CatalogPtr catalog() const = 0;
  // The last decisions, loads and runs as a Chrome trace (JSON). Takes a while: not on an I/O thread.
  virtual std::string trace() const = 0;

  // Called on the control thread, for each event in order (durable ones after their commit). Must not block.
  virtual std::unique_ptr<Subscription> subscribe(std::function<void(const EventPtr&)> on_event) = 0;
};

}  // namespace pixelfleet::control
