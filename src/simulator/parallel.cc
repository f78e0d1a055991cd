#include "simulator/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace pixelfleet::simulator {

void for_each_index(std::size_t count, int threads, const std::function<void(std::size_t)>& work) {
  const std::size_t wanted = threads > 0 ? static_cast<std::size_t>(threads) : std::thread::hardware_concurrency();
  std::atomic<std::size_t> next{0};
  const auto take_turns = [&] {
    for (std::size_t index = next++; index < count; index = next++) work(index);
  };
  std::vector<std::thread> helpers;
  for (std::size_t i = 1; i < std::min(wanted, count); ++i) helpers.emplace_back(take_turns);
  take_turns();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace pixelfleet::simulator
