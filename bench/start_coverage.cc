// How often jobs start within the interval that was forecast of them: a table over traces and seeds.
//
// Usage: start_coverage [SEEDS [FIRST_SEED [TRACE...]]]
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "simulator/start_coverage.h"
#include "simulator/traces.h"

int main(int argc, char** argv) {
  using namespace pixelfleet::simulator;
  const int seeds = argc > 1 ? std::atoi(argv[1]) : 1;
  const int first_seed = argc > 2 ? std::atoi(argv[2]) : 300;
  std::vector<std::string> traces(argv + std::min(argc, 3), argv + argc);
  if (traces.empty()) traces = {"T2", "T3", "T6"};
  std::printf("%-6s %6s %7s %8s %8s %8s %8s %6s %9s %9s %8s %8s\n", "trace", "seed", "starts", "inside", "before",
              "after", "first", "open", "width s", "wait s", "ms mean", "ms max");
  for (const std::string& name : traces) {
    for (int i = 0; i < seeds; ++i) {
      const auto seed = static_cast<std::uint64_t>(first_seed + 100 * i);
      const auto trace = make_trace(name, seed);
      if (!trace) {
        std::fprintf(stderr, "%s\n", trace.error().message.c_str());
        return 1;
      }
      RunOptions options;
      options.noise_seed = seed;
      const auto coverage = measure_start_coverage(*trace, options);
      if (!coverage) {
        std::fprintf(stderr, "%s\n", coverage.error().message.c_str());
        return 1;
      }
      const auto part = [&](int count) { return 100.0 * count / coverage->starts; };
      std::printf("%-6s %6llu %7d %7.1f%% %7.1f%% %7.1f%% %7.1f%% %6d %9.1f %9.1f %8.2f %8.2f\n", name.c_str(),
                  static_cast<unsigned long long>(seed), coverage->starts, part(coverage->inside),
                  part(coverage->before), part(coverage->after), part(coverage->first_inside), coverage->open,
                  coverage->mean_width_s, coverage->mean_wait_s, coverage->forecast_ms_mean, coverage->forecast_ms_max);
    }
  }
  return 0;
}
