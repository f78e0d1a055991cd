// The C interface between a worker process and an engine plug-in: open, load one model, make one image a call, close.
//
// A plug-in is a shared library with one exported function, `pixelfleet_engine_api`. The worker opens one engine and
// loads one model in it: unloading ends the process. All calls but `cancel` come from one thread, and every callback
// runs on a thread of the call that it belongs to, before that call returns. No C++ exception crosses this border.
// Text is UTF-8. Pointers in arguments live as long as the call; pointers handed out live as long as their comment
// says.
#ifndef PIXELFLEET_ENGINE_ABI_H
#define PIXELFLEET_ENGINE_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Raised with every change of this file. Plug-ins are built with the program: there is no older one to stay friends
// with.
#define PF_ENGINE_ABI 2u

typedef struct PfEngine PfEngine;  // an opened engine, known only to its plug-in

enum PfStatus { PF_OK = 0, PF_CANCELLED = 1, PF_FAILED = 2 };  // after PF_FAILED, `failure` tells more

enum PfFailureClass {
  PF_BAD_REQUEST = 0,       // the request itself is not allowed; another worker would refuse it too
  PF_OUT_OF_MEMORY = 1,     // of the device or the host
  PF_MODEL_UNREADABLE = 2,  // a part is missing, broken, dangerous or of a family that this engine does not know
  PF_ENGINE_ERROR = 3,      // the engine failed or does not fit this plug-in
  PF_INVALID_OUTPUT = 4     // the engine reported success, but what it returned is no picture
};

enum PfPhase { PF_PHASE_LOAD = 0, PF_PHASE_TEXT = 1, PF_PHASE_SAMPLE = 2, PF_PHASE_DECODE = 3 };

enum PfLogLevel { PF_LOG_DEBUG = 0, PF_LOG_INFO = 1, PF_LOG_WARN = 2, PF_LOG_ERROR = 3 };

enum PfCancel {
  PF_CANCEL_NONE = 0,
  PF_CANCEL_STEP = 1,  // `cancel` ends the running image within about one step
  PF_CANCEL_KILL = 2   // only the end of the process stops a running image
};

typedef struct PfFailure {
  int32_t failure_class;     // PfFailureClass
  const char* message;       // what was wrong, where, what is allowed, the next step
  const char* const* lines;  // the last error lines that the engine logged during the call
  size_t line_count;
} PfFailure;

// Where a call reports to. Every function must be set; `user` is handed back to each.
typedef struct PfSink {
  void* user;
  // Within one call phases go forward only, and `step` never falls within a phase. `steps` is 0 where it is not known.
  void (*progress)(void* user, int32_t phase, int32_t step, int32_t steps);
  // RGB8 rows without gaps, readable during the callback only; of any size with the picture's aspect ratio.
  void (*preview)(void* user, int32_t step, int32_t steps, uint32_t width, uint32_t height, const uint8_t* rgb);
  void (*log)(void* user, int32_t level, const char* line);
} PfSink;

typedef struct PfOptions {
  const char* library;      // libstable-diffusion.so; "" where the engine needs none
  const char* device_kind;  // "cpu", "nvidia", "amd" or "virtual"; the environment has narrowed the devices to one
  int32_t threads;          // for work on the CPU; 0 = as the engine thinks best
  double time_scale;        // divides the times of demo models; > 0
} PfOptions;

typedef struct PfInfo {
  const char* engine;                       // "sdcpp", "synthetic"
  const char* version;                      // as the library tells it, may be "unknown"
  const char* generation;                   // which interface of the library was found; "" where there is only one
  int32_t cancel;                           // PfCancel
  int32_t preview, img2img, inpaint, lora;  // 1 = can
  const char* const* samplers;              // the names that `generate` takes beside "default"
  size_t sampler_count;
  const char* const* schedulers;
  size_t scheduler_count;
} PfInfo;

typedef struct PfPart {
  const char* role;  // checkpoint, diffusion, clip_l, clip_g, t5xxl, llm, vae, taesd
  const char* file;
} PfPart;

typedef struct PfModel {
  const char* key;
  const PfPart* parts;
  size_t part_count;
  const char* demo;  // JSON object of a demo model (load_seconds, step_seconds, scene, faults ...); "" for real ones
} PfModel;

typedef struct PfLoaded {
  uint64_t device_bytes;  // what the model now holds on its device, as far as the engine can tell; 0 = unknown
  uint64_t host_bytes;
  double load_seconds;
} PfLoaded;

typedef struct PfRequest {
  // Chosen by the caller, not 0: `cancel` names it. All images of one chunk may carry the same ticket.
  uint64_t ticket;
  const char* prompt;
  const char* negative_prompt;
  int32_t width, height;  // what to generate; a size that the model cannot make is PF_BAD_REQUEST, never rounded
  int32_t steps;
  double cfg_scale;
  const char* sampler;    // "default" = the engine's choice for the model
  const char* scheduler;  // likewise
  int64_t seed;
  const uint8_t* init_rgb;   // RGB8 rows without gaps, width x height; null = the picture starts from noise
  const uint8_t* mask;       // a byte a pixel: 255 is made anew, 0 stays; null = all is made anew
  double strength;           // of img2img: how much of init_rgb is made anew; > 0, at most 1
  int32_t preview_every_ms;  // at most one preview in this time; 0 = none
} PfRequest;

typedef struct PfImage {
  uint32_t width, height;
  const uint8_t* rgb;  // RGB8 rows without gaps, owned by the plug-in until `release`
  void* owner;         // the plug-in's own
  double seconds;      // from the call to the finished pixels
} PfImage;

typedef struct PfEngineApi {
  uint32_t abi;      // PF_ENGINE_ABI
  const char* name;  // of the plug-in

  // Always gives an engine in *engine (null only when no memory is left); after PF_FAILED it is good for `failure`
  // and `close` only.
  int32_t (*open)(const PfOptions* options, PfEngine** engine);
  void (*close)(PfEngine* engine);
  // Lives as long as the engine.
  const PfInfo* (*info)(const PfEngine* engine);
  // Of the last call that returned PF_FAILED; lives until the next call on this engine.
  const PfFailure* (*failure)(const PfEngine* engine);

  // Once for each engine. Reports PF_PHASE_LOAD.
  int32_t (*load)(PfEngine* engine, const PfModel* model, const PfSink* sink, PfLoaded* loaded);
  // Makes one image. *image is set on PF_OK only.
  int32_t (*generate)(PfEngine* engine, const PfRequest* request, const PfSink* sink, PfImage* image);
  void (*release)(PfEngine* engine, PfImage* image);
  // From any thread: the image with this ticket, running now or asked for later, ends with PF_CANCELLED.
  // Only the last ticket is remembered.
  void (*cancel)(PfEngine* engine, uint64_t ticket);
} PfEngineApi;

// The plug-in's one exported symbol. Null where the plug-in was built for another PF_ENGINE_ABI.
#define PF_ENGINE_API_SYMBOL "pixelfleet_engine_api"
typedef const PfEngineApi* (*PfEngineApiFunction)(uint32_t abi);

#ifdef __cplusplus
}
#endif
#endif  // PIXELFLEET_ENGINE_ABI_H
