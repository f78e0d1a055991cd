// Parallel: independent pieces of work on all cores.
#pragma once

#include <cstddef>
#include <functional>

namespace pixelfleet::simulator {

// Calls work(0) ... work(count - 1), each once, on so many threads (0: one for each core), and returns when all have
// ended. The calls begin in ascending order; what they share, they must guard.
void for_each_index(std::size_t count, int threads, const std::function<void(std::size_t)>& work);

}  // namespace pixelfleet::simulator
