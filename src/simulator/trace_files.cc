#include "simulator/trace_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>

#include "base/format.h"
#include "base/unique_fd.h"
#include "base/utf8.h"
#include "domain/gpu_spec.h"
#include "domain/suggest.h"

namespace pixelfleet::simulator {
namespace {

constexpr double kGigabyte = 1e9;
constexpr double kMaxArrivalSeconds = 1e9;
constexpr double kMaxModelGigabytes = 1'000.0;
constexpr double kMaxHostGigabytes = 100'000.0;
constexpr double kMaxDiskGigabytesPerSecond = 1'000.0;
constexpr std::size_t kShownBytes = 64;

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The part before the next `separator`, which is consumed.
std::string_view take_until(std::string_view& rest, char separator) {
  const std::size_t end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return part;
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What is wrong in one file.
class Problems {
 public:
  explicit Problems(std::string file) : file_(std::move(file)) {}

  // `column` counts from 1; 0: the line as a whole.
  void add(std::size_t line, std::size_t column, std::string_view column_name, std::string_view value,
           std::string message, std::string allowed) {
    std::string field = format("{}, line {}", file_, line);
    if (column > 0) field += format(", column {} ({})", column, column_name);
    fields_.push_back(
        {std::move(field), std::string(utf8_prefix(value, kShownBytes)), std::move(message), std::move(allowed)});
  }
  void add_file(std::string message, std::string allowed) {
    fields_.push_back({file_, "", std::move(message), std::move(allowed)});
  }
  bool none() const { return fields_.empty(); }
  bool enough() const { return fields_.size() >= kMaxReportedErrors; }
  tl::unexpected<Error> failure() { return fail(invalid_fields(std::move(fields_))); }

 private:
  std::string file_;
  std::vector<FieldError> fields_;
};

// The lines of a text, numbered from 1; trailing blank ones do not count.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text.substr(0, text.find_last_not_of(" \t\r\n") + 1)) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
  }
  bool next() {
    if (rest_.empty()) return false;
    line_ = trim(take_until(rest_, '\n'));
    ++number_;
    return true;
  }
  std::string_view line() const { return line_; }
  std::size_t number() const { return number_; }

 private:
  std::string_view rest_;
  std::string_view line_;
  std::size_t number_ = 0;
};

struct Column {
  std::string_view name;
  enum class Presence { required, optional } presence = Presence::required;
};

// A CSV with a header of known columns, read row by row. Cells are plain numbers and words: no quoting.
class Table {
 public:
  Table(std::string_view text, std::vector<Column> columns, Problems& problems)
      : lines_(text), columns_(std::move(columns)), places_(columns_.size(), kAbsent), problems_(problems) {
    if (lines_.next()) {
      read_header();
    } else {
      problems_.add_file("is empty", format("a header: {}", header_grammar()));
    }
  }

  // The next row with the right number of cells; false at the end, or when enough is wrong.
  bool next() {
    while (!problems_.enough() && lines_.next()) {
      cells_.clear();
      std::string_view rest = lines_.line();
      const auto commas = static_cast<std::size_t>(std::count(rest.begin(), rest.end(), ','));
      if (commas + 1 != header_size_) {
        problems_.add(lines_.number(), 0, "", rest, rest.empty() ? "is empty" : format("has {} cells", commas + 1),
                      format("{} cells, as the header has", header_size_));
        continue;
      }
      for (std::size_t i = 0; i < header_size_; ++i) cells_.push_back(trim(take_until(rest, ',')));
      return true;
    }
    return false;
  }

  std::size_t line() const { return lines_.number(); }
  bool has(std::size_t column) const { return places_[column] != kAbsent; }
  std::string_view cell(std::size_t column) const { return cells_[places_[column]]; }

  void complain(std::size_t column, std::string message, std::string allowed) {
    problems_.add(line(), places_[column] + 1, columns_[column].name, cell(column), std::move(message),
                  std::move(allowed));
  }

  // An absent optional column leaves `value` alone.
  template <class Number>
  void number(std::size_t column, Number& value, double low, double high) {
    if (!has(column)) return;
    const auto parsed = parse_number<Number>(cell(column));
    const auto as_double = parsed ? static_cast<double>(*parsed) : std::numeric_limits<double>::quiet_NaN();
    if (as_double >= low && as_double <= high) {
      value = *parsed;
      return;
    }
    constexpr std::string_view kKind = std::is_integral_v<Number> ? "a whole number" : "a number";
    complain(column, format("\"{}\"", utf8_prefix(cell(column), kShownBytes)),
             format("{} from {} to {}", kKind, low, high));
  }

 private:
  static constexpr std::size_t kAbsent = std::numeric_limits<std::size_t>::max();

  std::string header_grammar() const {
    std::string grammar;
    for (const Column& column : columns_) {
      const bool optional = column.presence == Column::Presence::optional;
      const std::string_view comma = grammar.empty() ? "" : ",";
      grammar += optional ? format("[{}{}]", comma, column.name) : format("{}{}", comma, column.name);
    }
    return grammar;
  }

  void read_header() {
    std::string_view rest = lines_.line();
    header_size_ = static_cast<std::size_t>(std::count(rest.begin(), rest.end(), ',')) + 1;
    for (std::size_t place = 0; place < header_size_ && !problems_.enough(); ++place) {
      place_column(trim(take_until(rest, ',')), place);
    }
    for (std::size_t i = 0; i < columns_.size() && problems_.none(); ++i) {
      if (has(i) || columns_[i].presence == Column::Presence::optional) continue;
      problems_.add(1, 0, "", columns_[i].name, format("the column \"{}\" is missing", columns_[i].name),
                    header_grammar());
    }
    if (!problems_.none()) lines_ = Lines("");  // without a header no row can be read
  }

  void place_column(std::string_view name, std::size_t place) {
    const auto known = std::ranges::find(columns_, name, &Column::name);
    const std::string_view shown = utf8_prefix(name, kShownBytes);
    if (known == columns_.end()) {
      problems_.add(1, place + 1, shown, name, "unknown column", header_grammar());
      return;
    }
    std::size_t& known_place = places_[static_cast<std::size_t>(known - columns_.begin())];
    if (known_place != kAbsent) problems_.add(1, place + 1, shown, name, "named twice", header_grammar());
    known_place = place;
  }

  Lines lines_;
  std::vector<Column> columns_;
  std::vector<std::size_t> places_;
  Problems& problems_;
  std::size_t header_size_ = 0;
  std::vector<std::string_view> cells_;
};

bool is_text(std::string_view text, Problems& problems) {
  if (text.size() > kMaxTraceFileBytes) {
    problems.add_file(format("has {} bytes", text.size()), format("at most {} bytes", kMaxTraceFileBytes));
  } else if (const auto bad = find_invalid_utf8(text)) {
    const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(*bad), '\n') + 1;
    problems.add(static_cast<std::size_t>(line), 0, "", "", "holds bytes that are not text", "UTF-8");
  }
  return problems.none();
}

// Reads `host_gigabytes N` and `disk_gigabytes_per_second X`; false when the line is something else.
bool read_setting(std::string_view line, std::size_t number, MachineSpec& machine, Problems& problems) {
  struct Setting {
    std::string_view name;
    double high;
    double* target;
  };
  for (const Setting& setting :
       {Setting{"host_gigabytes", kMaxHostGigabytes, &machine.host_bytes},
        Setting{"disk_gigabytes_per_second", kMaxDiskGigabytesPerSecond, &machine.disk_bytes_per_second}}) {
    std::string_view rest = line;
    if (take_until(rest, ' ') != setting.name) continue;
    const std::string_view text = trim(rest);
    const auto value = parse_number<double>(text);
    constexpr double kLow = 0.001;
    if (value && *value >= kLow && *value <= setting.high) {
      *setting.target = *value * kGigabyte;
      machine.fast_disk_bytes_per_second = machine.disk_bytes_per_second;  // this disk in every regime
    } else {
      problems.add(number, 2, setting.name, text, format("\"{}\"", utf8_prefix(text, kShownBytes)),
                   format("a number from {} to {}", kLow, setting.high));
    }
    return true;
  }
  return false;
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::optional<std::string> gpu_type_of(const Gpu& gpu) {
  const std::string name = to_lower_ascii(gpu.name);
  const auto gigabytes = static_cast<double>(gpu.memory_total_bytes) / kGigabyte;
  constexpr double kBetweenA100s = 60.0;
  if (contains(name, "h100")) return "H100-80";
  if (contains(name, "a100")) return gigabytes > kBetweenA100s ? "A100-80" : "A100-40";
  if (contains(name, "4090")) return "4090-24";
  if (contains(name, "v100")) return "V100-16";
  const bool named = !contains(name, "virtual") || !(contains(name, "ib") || contains(name, "gb"));
  if (!named && gigabytes > 23.0 && gigabytes < 26.5) return "4090-24";
  return std::nullopt;
}

}  // namespace

Result<std::vector<TraceModel>> parse_models(std::string_view text, const std::string& file) {
  Problems problems(file);
  if (!is_text(text, problems)) return problems.failure();
  enum : std::size_t { model, family, gigabytes };
  Table table(text, {{"model"}, {"family"}, {"gigabytes"}}, problems);
  std::vector<TraceModel> models;
  while (table.next()) {
    if (models.size() == static_cast<std::size_t>(kMaxTraceModels)) {
      problems.add(table.line(), 0, "", "", "one model too many", format("at most {} models", kMaxTraceModels));
      break;
    }
    if (table.cell(model) != std::to_string(models.size())) {
      table.complain(model, format("\"{}\"", utf8_prefix(table.cell(model), kShownBytes)),
                     format("{}: the models count up from 0", models.size()));
    }
    if (std::ranges::find(kTraceFamilies, table.cell(family)) == kTraceFamilies.end()) {
      table.complain(family, format("unknown family \"{}\"", utf8_prefix(table.cell(family), kShownBytes)),
                     format("{}", join(kTraceFamilies, ", ")));
    }
    double size = 0.0;
    table.number(gigabytes, size, 0.001, kMaxModelGigabytes);
    models.push_back({std::string(table.cell(family)), size * kGigabyte});
  }
  if (problems.none() && models.empty()) problems.add_file("lists no model", "at least one row below the header");
  if (!problems.none()) return problems.failure();
  return models;
}

Result<MachineSpec> parse_machine(std::string_view text, const std::string& file) {
  Problems problems(file);
  if (!is_text(text, problems)) return problems.failure();
  MachineSpec machine;
  Lines lines(text);
  while (!problems.enough() && lines.next()) {
    const std::string_view line = lines.line();
    if (read_setting(line, lines.number(), machine, problems)) continue;
    if (std::ranges::find(kTraceGpuTypes, line) == kTraceGpuTypes.end()) {
      problems.add(lines.number(), 1, "gpu type or setting", line,
                   line.empty() ? "is empty" : format("\"{}\"", utf8_prefix(line, kShownBytes)),
                   format("{}, host_gigabytes N, disk_gigabytes_per_second X", join(kTraceGpuTypes, ", ")));
    } else if (machine.gpus.size() == kMaxTraceGpus) {
      problems.add(lines.number(), 1, "gpu type", line, "one gpu too many", format("at most {} gpus", kMaxTraceGpus));
      break;
    } else {
      machine.gpus.emplace_back(line);
    }
  }
  if (problems.none() && machine.gpus.empty()) {
    problems.add_file("names no gpu", format("at least one line with {}", join(kTraceGpuTypes, ", ")));
  }
  if (!problems.none()) return problems.failure();
  return machine;
}

Result<std::vector<TraceJob>> parse_jobs(std::string_view text, const std::string& file, int model_count) {
  Problems problems(file);
  if (!is_text(text, problems)) return problems.failure();
  enum : std::size_t { arrival, user, model, images, steps, pixels, lora_set, priority };
  constexpr auto kOptional = Column::Presence::optional;
  Table table(text,
              {{"arrival_s"},
               {"user"},
               {"model"},
               {"images"},
               {"steps"},
               {"pixels", kOptional},
               {"lora_set", kOptional},
               {"priority", kOptional}},
              problems);
  constexpr double kMaxNumber = 1e9;
  std::vector<TraceJob> jobs;
  while (table.next()) {
    if (jobs.size() == kMaxTraceJobs) {
      problems.add(table.line(), 0, "", "", "one job too many", format("at most {} jobs", kMaxTraceJobs));
      break;
    }
    TraceJob& job = jobs.emplace_back();
    table.number(arrival, job.arrival_s, 0.0, kMaxArrivalSeconds);
    table.number(user, job.user, 0.0, kMaxNumber);
    table.number(model, job.model, 0.0, model_count - 1.0);
    table.number(images, job.images, limits::kMinCount, limits::kMaxCount);
    table.number(steps, job.steps, limits::kMinSteps, limits::kMaxSteps);
    table.number(pixels, job.pixels, limits::kMinSide * limits::kMinSide, limits::kMaxSide * limits::kMaxSide);
    table.number(lora_set, job.lora_set, 0.0, kMaxNumber);
    if (!table.has(priority)) continue;
    if (const auto known = priority_from(table.cell(priority))) {
      job.priority = *known;
    } else {
      table.complain(priority, format("\"{}\"", utf8_prefix(table.cell(priority), kShownBytes)),
                     "interactive, normal, background");
    }
  }
  if (problems.none() && jobs.empty()) problems.add_file("lists no job", "at least one row below the header");
  if (!problems.none()) return problems.failure();
  std::ranges::stable_sort(jobs, {}, &TraceJob::arrival_s);
  return jobs;
}

Result<std::string> read_trace_text(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) return fail(system_error("cannot open " + path, errno));
  Problems problems(path);
  const auto bytes = static_cast<std::size_t>(status.st_size);
  if (!S_ISREG(status.st_mode)) problems.add_file("is not a file", "a file");
  if (bytes > kMaxTraceFileBytes) {
    problems.add_file(format("has {} bytes", bytes), format("at most {} bytes", kMaxTraceFileBytes));
  }
  if (!problems.none()) return problems.failure();
  std::string text(bytes, '\0');
  std::size_t filled = 0;
  while (filled < bytes) {
    const ssize_t got = ::read(fd.get(), text.data() + filled, bytes - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(system_error("cannot read " + path, errno));
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  text.resize(filled);
  return text;
}

Result<Trace> read_trace_files(const TraceFiles& files) {
  Trace trace;
  trace.name = std::filesystem::path(files.jobs).stem().string();
  const auto models_text = read_trace_text(files.models);
  if (!models_text) return fail(models_text.error());
  auto models = parse_models(*models_text, files.models);
  if (!models) return fail(models.error());
  const auto machine_text = read_trace_text(files.machine);
  if (!machine_text) return fail(machine_text.error());
  auto machine = parse_machine(*machine_text, files.machine);
  if (!machine) return fail(machine.error());
  const auto jobs_text = read_trace_text(files.jobs);
  if (!jobs_text) return fail(jobs_text.error());
  auto jobs = parse_jobs(*jobs_text, files.jobs, static_cast<int>(models->size()));
  if (!jobs) return fail(jobs.error());
  trace.models = std::move(*models);
  trace.machine = std::move(*machine);
  trace.jobs = std::move(*jobs);
  return trace;
}

Result<std::vector<std::string>> gpu_types_of(const std::vector<Gpu>& gpus) {
  std::vector<std::string> types;
  std::vector<FieldError> unknown;
  for (const Gpu& gpu : gpus) {
    if (const auto type = gpu_type_of(gpu)) {
      types.push_back(*type);
    } else if (unknown.size() < kMaxReportedErrors) {
      unknown.push_back({format("gpu {} ({})", gpu.index, gpu.name), gpu.name,
                         "the simulator knows no run times of this card",
                         format("cards of the types {}, or 24GiB", join(kTraceGpuTypes, ", "))});
    }
  }
  if (!unknown.empty()) return fail(invalid_fields(std::move(unknown)));
  return types;
}

Result<MachineSpec> machine_of_spec(std::string_view gpu_spec) {
  const auto gpus = parse_gpu_spec(gpu_spec);
  if (!gpus) {
    std::vector<FieldError> fields = gpus.error().fields;
    for (FieldError& field : fields) field.field = "gpus";
    return fail(invalid_fields(std::move(fields)));
  }
  auto types = gpu_types_of(*gpus);
  if (!types) return fail(types.error());
  MachineSpec machine;
  machine.gpus = std::move(*types);
  return machine;
}

}  // namespace pixelfleet::simulator
