#include "workers/server_link.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <thread>
#include <utility>

#include "base/log.h"
#include "workers/exit_status.h"

namespace pixelfleet::workers {
namespace {

constexpr std::size_t kMaxWaitingRuns = 4;

}  // namespace

void leave(int code) {
  std::fflush(stderr);
  _exit(code);
}

ServerLink::Received ServerLink::receive() {
  auto received = channel_.receive(ipc::Wait::yes);
  if (!received) {
    log::error("worker", "error: broken frame from the server: {}", received.error().message);
    leave(exit_code::kProtocol);
  }
  auto* frame = std::get_if<ipc::Frame>(&*received);
  if (frame == nullptr) leave(exit_code::kParentGone);
  auto order = protocol::decode_to_worker(frame->text);
  if (!order) {
    log::error("worker", "error: {}", order.error().message);
    leave(exit_code::kProtocol);
  }
  return {*std::move(order), std::move(frame->memory)};
}

protocol::Load ServerLink::wait_for_load() {
  const protocol::ToWorker order = receive().order;
  if (std::holds_alternative<protocol::Shutdown>(order)) leave(exit_code::kClean);
  if (const auto* load = std::get_if<protocol::Load>(&order)) return *load;
  log::error("worker", "error: the server's first message is not \"load\"");
  leave(exit_code::kProtocol);
}

void ServerLink::start_reading(std::function<void(std::int64_t)> on_cancel) {
  on_cancel_ = std::move(on_cancel);
  std::thread([this] { read_orders(); }).detach();
}

void ServerLink::read_orders() {
  while (true) {
    auto [order, file] = receive();
    if (std::holds_alternative<protocol::Shutdown>(order)) leave(exit_code::kClean);
    if (std::holds_alternative<protocol::Load>(order)) {
      log::error("worker", "error: a second \"load\": one process holds one model");
      leave(exit_code::kProtocol);
    }
    if (const auto* cancel = std::get_if<protocol::Cancel>(&order)) {
      {
        MutexLock lock(mutex_);
        cancelled_chunk_ = cancel->chunk_id;
      }
      on_cancel_(cancel->chunk_id);
    }
    if (const auto* input = std::get_if<protocol::Input>(&order)) {
      if (input->chunk_id != inputs_chunk_) inputs_.clear();
      inputs_chunk_ = input->chunk_id;
      inputs_[input->role] = std::move(file);
      continue;
    }
    MutexLock lock(mutex_);
    if (auto* run = std::get_if<protocol::Run>(&order)) {
      if (runs_.size() >= kMaxWaitingRuns) leave(exit_code::kProtocol);
      if (run->chunk_id != inputs_chunk_) inputs_.clear();
      runs_.push_back({std::move(*run), std::exchange(inputs_, {})});
    }
    if (std::holds_alternative<protocol::Ack>(order)) unacknowledged_ = std::max(0, unacknowledged_ - 1);
    changed_.notify_all();
  }
}

void ServerLink::send(const protocol::FromWorker& message, int memory) {
  const std::string text = protocol::encode(message);
  MutexLock lock(send_mutex_);
  const auto sent = channel_.send(text, memory, ipc::Wait::yes);
  if (sent) return;
  log::error("worker", "error: cannot send to the server: {}", sent.error().message);
  leave(sent.error().code == ErrorCode::unavailable ? exit_code::kParentGone : exit_code::kProtocol);
}

void ServerLink::send_image(const protocol::Image& image, int memory) {
  {
    MutexLock lock(mutex_);
    while (unacknowledged_ >= protocol::kMaxUnacknowledged) {
      if (cancelled_chunk_ == image.chunk_id) return;  // nobody wants it any more
      changed_.wait(mutex_);
    }
    ++unacknowledged_;
  }
  send(image, memory);
}

ServerLink::Order ServerLink::wait_for_run() {
  MutexLock lock(mutex_);
  while (runs_.empty()) changed_.wait(mutex_);
  Order order = std::move(runs_.front());
  runs_.pop_front();
  return order;
}

bool ServerLink::is_cancelled(std::int64_t chunk) {
  MutexLock lock(mutex_);
  return cancelled_chunk_ == chunk;
}

}  // namespace pixelfleet::workers
