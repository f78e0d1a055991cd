// The scripted driver at work: its file, its clock, what it has told already, and the trouble a call meets first.
//
// One for the process. Not thread-safe.
#pragma once

#include "script.h"

namespace fake_nvml {

enum Code : int {
  kSuccess = 0,
  kUninitialized = 1,
  kInvalidArgument = 2,
  kNotSupported = 3,
  kNotFound = 6,
  kInsufficientSize = 7,
  kTimeout = 10,
  kFunctionNotFound = 13,
  kGpuIsLost = 15,
};

// As the script says now.
const World& world();
double script_now();
bool is_missing(const char* call);

// The handle of a gpu, or of a MIG instance on it, and back.
inline constexpr int kWhole = -1;
void* handle_of(int gpu, int instance = kWhole);
int gpu_of(const void* handle);
int instance_of(const void* handle);

// What a call meets before it does anything: delays, crashes, the codes of the script. kSuccess: it may go on.
int initialize(const char* call);
int shut_down(const char* call);
int enter(const char* call);
int enter_gpu(const char* call, const void* device, const Gpu*& gpu);
int code_for_gpu(const char* call, int gpu);

// Xids come from watched gpus only, each as often as the script says.
void watch_for_xids(int gpu);
void watch_no_gpu();
const Xid* next_xid();

void wait_for_ms(int milliseconds);

}  // namespace fake_nvml
