/* A stand-in for NVIDIA's management library, for tests: two gpus, and one kind of trouble named by FAKE_NVML.
 *
 *   (unset)       two gpus; the second has no sensors and no utilisation (as MIG devices do)
 *   init-error    nvmlInit fails with code 18 (driver and library differ)
 *   hang          nvmlInit never returns
 *   hang-later    the second round never returns
 *   lost          from the second round on, gpu 1 answers "lost" (code 15)
 *   garbage       names without an end, impossible numbers
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, GPU_IS_LOST = 15, VERSION_MISMATCH = 18 };

static int devices[2];
static int rounds;

static int trouble(const char* name) {
  const char* mode = getenv("FAKE_NVML");
  return mode != NULL && strcmp(mode, name) == 0;
}

static void hang(void) {
  for (;;) pause();
}

static int index_of(const void* device) { return device == &devices[1]; }
static int lost(const void* device) { return index_of(device) == 1 && trouble("lost") && rounds > 1; }

int nvmlInit_v2(void) {
  if (trouble("hang")) hang();
  return trouble("init-error") ? VERSION_MISMATCH : SUCCESS;
}

int nvmlShutdown(void) { return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned* count) {
  ++rounds;
  if (trouble("hang-later") && rounds > 1) hang();
  *count = 2;
  return SUCCESS;
}

/* Only the older form of this one, as old drivers have it. */
int nvmlDeviceGetHandleByIndex(unsigned index, void** device) {
  *device = &devices[index];
  return SUCCESS;
}

int nvmlDeviceGetUUID(void* device, char* text, unsigned size) {
  if (lost(device)) return GPU_IS_LOST;
  strncpy(text, index_of(device) == 0 ? "GPU-aaaa-0000" : "GPU-bbbb-1111", size);
  return SUCCESS;
}

int nvmlDeviceGetName(void* device, char* text, unsigned size) {
  if (trouble("garbage")) {
    memset(text, 'x', size);
    text[0] = '\x1b';
    text[1] = (char)0xFF;
    return SUCCESS;
  }
  strncpy(text, index_of(device) == 0 ? "Fake A" : "Fake B", size);
  return SUCCESS;
}

struct memory {
  unsigned long long total, free, used;
};
struct memory_v2 {
  unsigned version;
  unsigned long long total, reserved, free, used;
};

int nvmlDeviceGetMemoryInfo(void* device, struct memory* memory) {
  memory->total = 8ull << 30;
  memory->used = trouble("garbage") ? ~0ull : 1ull << 30;
  memory->free = memory->total - (1ull << 30);
  (void)device;
  return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(void* device, struct memory_v2* memory) {
  if (index_of(device) == 1) return NOT_SUPPORTED;
  if (memory->version != (sizeof *memory | 2u << 24)) return NOT_SUPPORTED;
  memory->total = 24ull << 30;
  memory->reserved = 1ull << 30;
  memory->used = 2ull << 30;
  memory->free = 21ull << 30;
  return SUCCESS;
}

struct utilization {
  unsigned gpu, memory;
};

int nvmlDeviceGetUtilizationRates(void* device, struct utilization* rates) {
  if (index_of(device) == 1) return NOT_SUPPORTED;
  rates->gpu = trouble("garbage") ? 4000 : 37;
  rates->memory = 0;
  return SUCCESS;
}

int nvmlDeviceGetTemperature(void* device, unsigned sensor, unsigned* celsius) {
  if (index_of(device) == 1 || sensor != 0) return NOT_SUPPORTED;
  *celsius = trouble("garbage") ? 255 : 61;
  return SUCCESS;
}

int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  if (index_of(device) == 1) return NOT_SUPPORTED;
  *milliwatts = 250500;
  return SUCCESS;
}
