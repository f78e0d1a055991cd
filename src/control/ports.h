// What the control loop needs from the edges, and the messages the edges send back to it.
//
// Each port is implemented by one folder (store, workers, media, gpu) and by fakes in tests. Calls go out from the
// control thread only and do not block, except StorePort::commit; answers come back as Messages in the Mailbox.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "domain/catalog.h"
#include "domain/event.h"
#include "domain/job.h"
#include "domain/live.h"
#include "domain/settings.h"

namespace pixelfleet::control {

// --- store ----------------------------------------------------------------------------------------------------

struct Run {
  RunId id;
  std::string directory;  // relative to the output directory, unique
  Instant created_at;
};

struct Upload {
  UploadId id;
  std::string file;  // relative to the data directory
  std::string media_type;
  int width = 0;
  int height = 0;
  std::int64_t bytes = 0;
  Instant created_at;
};

// One row change each; a commit applies them in order, in one transaction.
struct InsertRun {
  Run run;
};
struct InsertJob {
  Job job;
  std::vector<Image> images;
};
struct UpdateJob {  // the job's mutable columns
  JobId id;
  JobState state = JobState::queued;
  std::optional<HeldReason> held_reason;
  std::optional<JobError> error;
  int worker_deaths = 0;
  std::optional<Instant> started_at;
  std::optional<Instant> finished_at;
  bool cancel_requested = false;
};
struct UpdateJobOrder {  // its place in the queue, as somebody changed it
  JobId id;
  Priority priority = Priority::normal;
  double rank = 0.0;
  std::optional<GpuUuid> gpu;  // pin
};
struct InsertChunk {  // a chunk and the attempt that runs it
  ChunkId id;
  JobId job_id;
  std::vector<int> indices;
  WorkerId worker_id;
  GpuUuid gpu;
  Instant started_at;
};
struct FinishChunk {
  ChunkId id;
  std::string outcome;  // done, cancelled, failed, lost
  std::optional<JobError> error;
  Instant finished_at;
};
// Counts only while `attempt` is the image's current attempt (the fence); a late result changes nothing.
struct PublishImage {
  JobId job_id;
  int index = 0;
  ChunkId attempt;
  std::int64_t bytes = 0;
  EffectiveImage effective;
  Instant published_at;
};
// Only what somebody set: flat key -> JSON text. Defaults, file and environment are not stored.
struct PutSettings {
  std::map<std::string, std::string> values;
};
struct PutPauses {
  Pauses pauses;  // all of them
};
// What was learned of one kind of work on one type of gpu; replaces the row of the same kind, subject and type.
struct LearnedCost {
  std::string kind;  // load_from_host, load_from_disk, run
  std::string subject;
  std::string gpu_type;
  double log_ratio = 0.0;
  double count = 0.0;

  friend bool operator==(const LearnedCost&, const LearnedCost&) = default;
};
struct PutCost {
  LearnedCost cost;
  Instant updated_at;
};
// A gpu's health has changed. The words are those of health/events.h; a gpu's last row is all that a restart must know.
struct GpuStateRow {
  GpuUuid gpu;
  Instant at;
  std::string from;
  std::string state;
  std::string reason;
  Instant since;                 // of the state
  std::optional<Instant> until;  // of the back-off
  int back_off_level = 0;
  std::string hold;
  std::string hardware;
  std::string workers;
  std::optional<JobId> job;  // at hand at its last fault
  ModelKey model;            // likewise
  std::vector<std::string> evidence;
  std::string boot_id;  // of the machine, as it was up

  friend bool operator==(const GpuStateRow&, const GpuStateRow&) = default;
};
struct AppendGpuState {
  GpuStateRow row;
};
// A model that no gpu could load: its jobs wait until its files change or somebody enables it.
struct DisabledModel {
  ModelKey model;
  std::string why;
  std::vector<std::string> evidence;
  std::string files;  // what identifies them
  Instant at;

  friend bool operator==(const DisabledModel&, const DisabledModel&) = default;
};
struct PutDisabledModel {
  DisabledModel model;
};
struct DropDisabledModel {
  ModelKey model;
};
struct InsertUpload {
  Upload upload;
};
struct AppendEvent {
  EventPtr event;
};  // durable ones only; seq is the loop's

using Change =
    std::variant<InsertRun, InsertJob, UpdateJob, UpdateJobOrder, InsertChunk, FinishChunk, PublishImage, PutSettings,
                 PutPauses, PutCost, AppendGpuState, PutDisabledModel, DropDisabledModel, InsertUpload, AppendEvent>;

struct JobRows {
  Job job;
  std::vector<Image> images;  // by index
};

// The rows a restart needs: every job that has not ended, with its images; settings, pauses; counters.
struct Restored {
  std::vector<JobRows> open_jobs;               // by id
  std::map<std::string, std::string> settings;  // as PutSettings
  Pauses pauses;
  std::vector<LearnedCost> costs;
  std::vector<GpuStateRow> gpu_states;  // the last one of each gpu
  std::vector<DisabledModel> disabled_models;
  JobCounts counts;
  std::int64_t last_seq = 0;
  RunId last_run;
  JobId last_job;
  ImageId last_image;
  ChunkId last_chunk;
  WorkerId last_worker;
  UploadId last_upload;
};

class StorePort {
 public:
  virtual ~StorePort() = default;
  virtual Result<Restored> restore() = 0;
  // Durable when it returns (WAL, synchronous=FULL). disk_full is an ordinary answer: nothing was applied.
  virtual Result<> commit(std::span<const Change> changes) = 0;
  // One job as it was last committed, to open it again after it has ended.
  virtual Result<JobRows> load_job(JobId id) = 0;
  virtual Result<Upload> load_upload(UploadId id) = 0;
  // Whether some run already has this directory, or an image this path.
  virtual bool run_directory_taken(const std::string& directory) = 0;
};

// Queries for HTTP; thread-safe, answered from read connections, never from inside a read transaction that stays open.
struct JobQuery {
  std::vector<JobState> states;  // empty: all
  std::size_t limit = 50;
  std::optional<JobId> after;  // ids below it, newest first
};
struct ImageQuery {
  std::optional<JobId> job;
  std::size_t limit = 50;
  std::optional<ImageId> after;
};

class Reader {
 public:
  virtual ~Reader() = default;
  virtual Result<std::vector<Job>> jobs(const JobQuery& query) = 0;
  virtual Result<Job> job(JobId id) = 0;
  virtual Result<std::vector<Image>> images_of(JobId id) = 0;              // by index, pending ones too
  virtual Result<std::vector<Image>> images(const ImageQuery& query) = 0;  // published ones, newest first
  virtual Result<Image> image(ImageId id) = 0;
  virtual Result<Upload> upload(UploadId id) = 0;
  virtual Result<std::vector<GpuStateRow>> gpu_history(const GpuUuid& gpu, std::size_t limit) = 0;  // newest first
  // Durable events with seq > `after`, oldest first, at most `limit`.
  virtual Result<std::vector<EventPtr>> events(std::int64_t after, std::size_t limit) = 0;
};

// --- workers --------------------------------------------------------------------------------------------------

struct Capabilities {
  std::string cancel = "kill";  // step, kill, none
  bool preview = false;
  bool img2img = false;
  bool inpaint = false;
  bool lora = false;
};

struct WorkerSpec {
  WorkerId id;
  Gpu gpu;
  Model model;
};

struct ChunkRequest {
  ChunkId id;  // also the attempt's fencing number
  WorkerId worker;
  JobId job;
  JobSettings settings;
  struct Item {
    int index;
    std::int64_t seed;
  };
  std::vector<Item> items;
};

class WorkerPort {
 public:
  virtual ~WorkerPort() = default;
  virtual void start(const WorkerSpec& spec) = 0;           // answers WorkerIsReady or WorkerIsGone
  virtual void run(const ChunkRequest& request) = 0;        // answers ImageArrived..., ChunkIsOver
  virtual void cancel(WorkerId worker, ChunkId chunk) = 0;  // answers ChunkIsOver, or WorkerIsGone where it kills
  virtual void image_taken(WorkerId worker, ChunkId chunk, int index) = 0;  // back-pressure: two may be in flight
  virtual void stop(WorkerId worker) = 0;  // answers nothing; its messages are dropped from here on
};

// Pixels of one image, RGB8, rows without padding, mapped from the worker's sealed memory.
class Pixels {
 public:
  virtual ~Pixels() = default;
  virtual std::span<const std::uint8_t> bytes() const = 0;
  virtual int width() const = 0;
  virtual int height() const = 0;
};
using PixelsPtr = std::shared_ptr<const Pixels>;
// Black ones are refused by the engine's plug-in; another single colour may be meant, but rarely is.
bool is_one_colour(const Pixels& pixels);

struct WorkerIsReady {
  WorkerId worker;
  Capabilities capabilities;
  std::string engine;
  std::string engine_version;
  std::int64_t device_bytes = 0;
  double load_seconds = 0.0;
};
// The process ended or never became ready. `permanent`: the model file is at fault, trying again will not help.
struct WorkerIsGone {
  WorkerId worker;
  JobError failure;
  bool permanent = false;
};
// Its process has begun.
struct WorkerIsSpawned {
  WorkerId worker;
  std::int64_t pid = 0;
};
// Its process has ended, and with it what it held; told of every worker that was spawned, stopped ones too.
struct WorkerHasEnded {
  WorkerId worker;
};
struct WorkerLoading {
  WorkerId worker;
  double ratio = 0.0;
};  // lossy
struct ChunkProgressed {
  WorkerId worker;
  ChunkId chunk;
  int index = 0;
  Phase phase = Phase::sample;
  int step = 0;
  int steps = 0;
};  // lossy
struct PreviewArrived {
  WorkerId worker;
  ChunkId chunk;
  int index = 0;
  int step = 0;
  int steps = 0;
  PixelsPtr pixels;
};  // lossy
struct ImageArrived {
  WorkerId worker;
  ChunkId chunk;
  int index = 0;
  std::int64_t seed = 0;
  double seconds = 0.0;
  PixelsPtr pixels;
};
struct ChunkIsOver {
  WorkerId worker;
  ChunkId chunk;
  std::string outcome;
  JobError failure;
};  // done, cancelled, failed

// --- host memory ----------------------------------------------------------------------------------------------

// A model's files, to be kept in host memory (the page cache) or to leave it.
struct FilesOfModel {
  ModelKey model;
  std::vector<std::string> files;  // absolute paths
};
// They are in host memory. What of them had to be read from the disk, and how long that took; 0: nothing.
struct ModelIsStaged {
  ModelKey model;
  std::int64_t bytes_read = 0;
  double seconds = 0.0;
};
// They are not, or no longer: they could not be read, were let go, or the system needed the memory.
struct ModelIsUnstaged {
  ModelKey model;
};

class HostMemoryPort {
 public:
  virtual ~HostMemoryPort() = default;
  // Reads them in, one model after the other; answers ModelIsStaged or ModelIsUnstaged. From then on it watches them.
  virtual void stage(const FilesOfModel& files) = 0;
  // Lets them go, or stops reading them: then it answers ModelIsUnstaged, else nothing.
  virtual void unstage(const FilesOfModel& files) = 0;
  // Somebody else has read them: ModelIsStaged if they are there, and then it watches them; else nothing.
  virtual void check(const FilesOfModel& files) = 0;
};

// --- media ----------------------------------------------------------------------------------------------------

// Everything needed to write one picture; `path` is relative to the output directory.
struct PictureRequest {
  WorkerId worker;
  ChunkId attempt;
  Job job;
  Image image;  // with seed, path and effective
  Model model;
  PixelsPtr pixels;
};
struct PictureWritten {
  WorkerId worker;
  ChunkId attempt;
  JobId job;
  int index = 0;
  std::int64_t bytes = 0;
  EffectiveImage effective;
};
struct PictureFailed {
  WorkerId worker;
  ChunkId attempt;
  JobId job;
  int index = 0;
  Error error;
};
struct PreviewEncoded {
  JobId job;
  int index = 0;
  int step = 0;
  int steps = 0;
  std::string base64_jpeg;
};  // lossy

class MediaPort {
 public:
  virtual ~MediaPort() = default;
  // Crops, encodes, writes to a temporary name, syncs, renames, syncs the directory; then PictureWritten. On a full
  // disk it keeps the pixels and tries again until there is space (the worker waits meanwhile).
  virtual void write_picture(PictureRequest request) = 0;
  virtual void encode_preview(JobId job, int index, int step, int steps, PixelsPtr pixels) = 0;
  // Appends one line to jobs_{INSTANCE_ID}.log, in the order of the calls.
  virtual void log_job(const Job& job, const std::vector<Image>& images, const Model* model) = 0;
};

// --- gpus -----------------------------------------------------------------------------------------------------

struct GpusSeen {
  std::vector<Gpu> gpus;
};  // the complete list; missing ones are lost
struct GpuSamples {
  std::vector<GpuSample> samples;
};  // lossy
struct TelemetryChanged {
  Telemetry telemetry;
};
// The last process there that could not be ended has ended.
struct GpuReaped {
  GpuUuid gpu;
};

struct CatalogChanged {
  CatalogPtr catalog;
};

// --- forecasts (the port is in forecaster.h) ------------------------------------------------------------------

struct ForecastMade {
  OutlooksPtr outlooks;
};

// --- requests -------------------------------------------------------------------------------------------------

struct SubmitReceipt {
  std::vector<Job> jobs;
  std::string run_dir;
};
template <class T>
using Reply = std::function<void(Result<T>)>;  // called on the control thread; must not block

struct SubmitJobs {
  std::vector<JobSpec> specs;
  Reply<SubmitReceipt> reply;
};
struct CancelJob {
  JobId job;
  Reply<Job> reply;
};
// Those of the list, or every open job of a sweep.
struct CancelSelection {
  std::vector<JobId> jobs;
  std::optional<SweepId> sweep;
};
struct CancelReceipt {
  std::vector<JobId> cancelled;
  std::vector<JobId> stopping;  // they ran: each ends when its worker lets go
  std::vector<JobId> ended;     // had ended before
};
struct CancelJobs {
  CancelSelection selection;
  Reply<CancelReceipt> reply;
};

// What somebody wants of one job. All but the last concern a job that waits.
struct HoldJob {};
struct ReleaseJob {};  // from somebody's hold
struct MoveJob {
  JobId other;
  enum class Side { before, after } side = Side::before;
};
struct ChangeJob {  // absent: as it is
  std::optional<Priority> priority;
  std::optional<std::optional<GpuUuid>> gpu;  // pinned there, or anywhere
};
struct RetryJob {};  // open a failed or cancelled job again, for the pictures it lacks
using JobOrder = std::variant<HoldJob, ReleaseJob, MoveJob, ChangeJob, RetryJob>;
struct OrderJob {
  JobId job;
  JobOrder order;
  Reply<Job> reply;
};

// Paused jobs do not start; what runs goes on. Absent owner: everybody's.
struct PauseQueue {
  enum class Wish { pause, resume } wish = Wish::pause;
  std::optional<std::string> owner;
  Reply<Pauses> reply;
};
// What the operator wants of a gpu. drain: no new work, what runs finishes; retire: out at once; both until resumed.
struct OrderGpu {
  GpuUuid gpu;
  enum class Wish { drain, resume, retire } wish = Wish::drain;
  Reply<GpuStatus> reply;
};
// Use a gpu although others compute there, or quiet hours have begun; 0: no longer.
struct OverrideGpu {
  GpuUuid gpu;
  std::chrono::minutes minutes{60};
  Reply<GpuStatus> reply;
};
// A model that was disabled after its loads had failed may be tried again.
struct EnableModel {
  ModelKey model;
  Reply<Model> reply;
};
struct ChangeSettings {
  std::string changes;
  Reply<LiveSettings> reply;
};  // a JSON object as text
struct AddUpload {
  Upload upload;
  Reply<Upload> reply;
};
struct ShutDown {};

using Message = std::variant<SubmitJobs, CancelJob, CancelJobs, OrderJob, PauseQueue, OrderGpu, OverrideGpu,
                             EnableModel, ChangeSettings, AddUpload, ShutDown, WorkerIsSpawned, WorkerHasEnded,
                             WorkerIsReady, WorkerIsGone, WorkerLoading, ChunkProgressed, PreviewArrived, ImageArrived,
                             ChunkIsOver, ModelIsStaged, ModelIsUnstaged, PictureWritten, PictureFailed, PreviewEncoded,
                             GpusSeen, GpuSamples, TelemetryChanged, GpuReaped, CatalogChanged, ForecastMade>;

// Where the edges put their messages. Thread-safe.
class Inbox {
 public:
  virtual ~Inbox() = default;
  // A message that must arrive. The number of such messages in flight is bounded by their senders.
  virtual void post(Message message) = 0;
  // A lossy one (progress, previews, samples): false when it was dropped because the loop is behind.
  virtual bool offer(Message message) = 0;
};

}  // namespace pixelfleet::control
