#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>

#include "base/format.h"
#include "base/json_full.h"
#include "cli/commands.h"
#include "cli/generate.h"
#include "cli/gpu_commands.h"
#include "cli/hooks.h"
#include "cli/simulate.h"

namespace pixelfleet::cli {
namespace {

constexpr const char* kFooter =
    "Exit codes: 0 all done; 1 a job failed or was cancelled; 2 a value is not allowed; 3 not found;\n"
    "4 in conflict (ended already, data directory in use); 5 not available now; 6 disk, permission or file trouble.\n"
    "Each setting is also an environment variable and a key of pixelfleet.yaml: `pixelfleet config --print`.\n"
    "HEADLESS=true pixelfleet makes one job from PROMPT, MODEL, STEPS ... and ends.";

constexpr const char* kSimulateFooter =
    "Policies: amp (ours), fifo, v18, sjf, greedy-affinity, swarmui, mold-legacy, mold-v2, invokeai, delay,\n"
    "mqfq-sticky, map. The same seed makes the same jobs and the same noise for each of them.";

// The texts that one command was given for the configuration and for a job.
struct Given {
  std::map<std::string, std::string> config;
  std::map<std::string, std::string> job;
  InputFiles inputs;
  bool json = false;

  Output output() const { return json ? Output::json : Output::text; }
};

void add_config_flags(CLI::App& app, Given& given) {
  app.add_option_function<std::string>(
         "--config", [&](const std::string& text) { given.config["config"] = text; }, "configuration file (YAML)")
      ->group("Configuration");
  for (const ConfigKey& key : config_keys()) {
    if (key.flag.empty()) continue;
    auto* option = app.add_option_function<std::string>(
        "--" + key.flag, [&given, name = key.key](const std::string& text) { given.config[name] = text; }, key.help);
    option->group("Configuration");
    // A switch without a value means on.
    if (key.key == "multi_gpu.enabled" || key.key == "insecure_no_token") option->expected(0, 1)->default_str("true");
  }
}

void add_job_flags(CLI::App& app, Given& given) {
  const auto add = [&](const char* flags, const char* key, const char* help) {
    app.add_option_function<std::string>(
           flags, [&given, key](const std::string& text) { given.job[key] = text; }, help)
        ->group("Job");
  };
  add("--prompt", "prompt", "what the picture shows");
  add("--negative-prompt", "negative_prompt", "what it shall not show");
  add("--model", "model", "key or title of a model; `pixelfleet models list`");
  add("--profile", "profile", "style: None / Raw, Photoreal, Cinematic ...");
  add("--sampler", "sampler", "sampler, such as euler_a or \"DPM++ 2M Karras\"");
  add("--scheduler", "scheduler", "noise schedule, such as karras");
  add("--steps", "steps", "denoising steps, 1-200");
  add("--cfg-scale", "cfg_scale", "how closely to follow the prompt, 0-30");
  add("--width", "width", "64-4096");
  add("--height", "height", "64-4096");
  add("--count,--batch-size", "count", "images, 1-1000");
  add("--seed", "seed", "-1: random; image i uses SEED + i");
  add("--priority", "priority", "interactive, normal or background");
  add("--gpu", "gpu", "UUID of the gpu to run on");
  add("--strength", "strength", "how much of --init-image is made anew, 0.01-1");
  add("--mask-feather", "mask_feather", "pixels over which what is made anew runs into what stays, 0-256");
  const auto add_file = [&](const char* flag, const char* key, const char* help) {
    app.add_option_function<std::string>(
           flag, [&given, key](const std::string& path) { given.inputs[key] = path; }, help)
        ->group("Job");
  };
  add_file("--init-image", "init_image", "PNG or JPEG to start from");
  add_file("--mask", "mask_image", "PNG or JPEG whose white part of --init-image is made anew");
}

int run_headless(const Hooks& hooks) {
  const Environment environment = process_environment();
  const auto job = headless_job(environment);
  if (!job) return report(job.error());
  const auto loaded = load_config({}, environment);
  if (!loaded) return report(loaded.error());
  Json owned = *job;
  owned["owner"] = loaded->config.owner;
  return generate(loaded->config, {owned}, {}, Output::text, hooks);
}

// Builds the commands; each puts the thing to do into `action`, which runs after the configuration is loaded.
struct CommandLine {
  explicit CommandLine(const Hooks& given_hooks) : hooks(given_hooks) {
    app.footer(kFooter);
    app.require_subcommand(0, 1);
    add_server_commands();
    add_job_commands();
    add_catalog_commands();
    add_simulate_command();
    add_internal_commands();
  }

  CLI::App* command(const char* name, const char* help, CLI::App* parent = nullptr) {
    CLI::App* made = (parent != nullptr ? parent : &app)->add_subcommand(name, help);
    add_config_flags(*made, given);
    return made;
  }

  void add_server_commands() {
    CLI::App* serve = command("serve", "run the server: page, API, queue and workers");
    serve->callback([this] { action = [this](const LoadedConfig& c) { return hooks.serve(c); }; });
    CLI::App* doctor = command("doctor", "explain engine, gpus, models and permissions of this machine");
    doctor->callback([this] { action = [this](const LoadedConfig& c) { return hooks.doctor(c); }; });
    CLI::App* config = command("config", "print every setting, its value and where that came from");
    config->add_flag("--print")->description("print (the default)");
    config->callback([this] {
      action = [](const LoadedConfig& c) {
        std::fputs(c.print().c_str(), stdout);
        return kExitOk;
      };
    });
    app.add_subcommand("version", "print the version")->callback([this] {
      std::printf("pixelfleet %s\n", hooks.version.c_str());
      finished = true;
    });
  }

  void add_job_commands() {
    CLI::App* generate_command = command("generate", "make pictures: through the running server, else a private one");
    add_job_flags(*generate_command, given);
    generate_command->add_flag("--json", given.json, "print the jobs as JSON");
    generate_command->callback([this] {
      action = [this](const LoadedConfig& c) {
        Json job = job_from_texts(given.job);
        job["owner"] = c.config.owner;
        job["mode"] = mode_of(given.inputs);
        return generate(c.config, {job}, given.inputs, given.output(), hooks);
      };
    });

    CLI::App* jobs = app.add_subcommand("jobs", "list, show and cancel jobs of the running server; order its queue");
    jobs->require_subcommand(1);
    CLI::App* list = command("list", "newest first", jobs);
    list->add_option("--state", states, "queued, held, running, done, failed, cancelled; several with commas");
    list->add_option("--limit", limit, "how many, 1-200")->check(CLI::Range(1, 200));
    list->add_flag("--json", given.json, "print JSON");
    list->callback([this] {
      action = [this](const LoadedConfig& c) { return jobs_list(c.config, states, limit, given.output(), hooks); };
    });
    const auto add_by_id = [&](const char* name, const char* help, auto run_it) {
      CLI::App* one = command(name, help, jobs);
      one->add_option("id", id, "the job's id")->required();
      one->add_flag("--json", given.json, "print JSON");
      one->callback([this, run_it] {
        action = [this, run_it](const LoadedConfig& c) { return run_it(c.config, id, given.output(), hooks); };
      });
    };
    add_by_id("show", "one job with its images", jobs_show);
    add_by_id("hold", "keep a waiting job from starting until it is released", jobs_hold);
    add_by_id("release", "end a hold", jobs_release);
    add_by_id("retry", "open a failed or cancelled job again, for the pictures it lacks", jobs_retry);
    add_by_id("unpin", "let a waiting job run on any gpu", jobs_unpin);
    add_queue_commands(jobs);
  }

  // A command about one job with something more to say.
  CLI::App* order_command(const char* name, const char* help, CLI::App* jobs) {
    CLI::App* one = command(name, help, jobs);
    one->add_option("id", id, "the job's id")->required();
    one->add_flag("--json", given.json, "print JSON");
    return one;
  }

  void add_queue_commands(CLI::App* jobs) {
    CLI::App* cancel = command("cancel", "cancel waiting and running jobs", jobs);
    auto* ids = cancel->add_option("id", selection.ids, "the jobs' ids");
    auto* sweep = cancel->add_option("--sweep", selection.sweep, "every open job of this sweep")->excludes(ids);
    sweep->check(CLI::PositiveNumber);
    cancel->add_flag("--json", given.json, "print JSON");
    cancel->callback([this] {
      if (selection.ids.empty() && selection.sweep == 0) throw CLI::RequiredError("id or --sweep");
      action = [this](const LoadedConfig& c) { return jobs_cancel(c.config, selection, given.output(), hooks); };
    });

    CLI::App* move = order_command("move", "put a waiting job before or after another one of its priority", jobs);
    auto* where = move->add_option_group("where");
    where->add_option("--before", destination.before, "the id of the other job")->check(CLI::PositiveNumber);
    where->add_option("--after", destination.after, "the id of the other job")->check(CLI::PositiveNumber);
    where->require_option(1);
    move->callback([this] {
      action = [this](const LoadedConfig& c) { return jobs_move(c.config, id, destination, given.output(), hooks); };
    });

    CLI::App* priority = order_command("priority", "change the priority of a waiting job", jobs);
    priority->add_option("priority", setting, "interactive, normal or background")->required();
    priority->callback([this] {
      action = [this](const LoadedConfig& c) { return jobs_priority(c.config, id, setting, given.output(), hooks); };
    });
    CLI::App* pin = order_command("pin", "let a waiting job run on one gpu only", jobs);
    pin->add_option("gpu", setting, "UUID or number of the gpu; `pixelfleet gpus`")->required();
    pin->callback([this] {
      action = [this](const LoadedConfig& c) { return jobs_pin(c.config, id, setting, given.output(), hooks); };
    });

    const auto add_pause = [&](const char* name, const char* help, PauseWish wish) {
      CLI::App* made = command(name, help, jobs);
      // A configuration flag for the other commands: here its value says whose jobs are meant.
      made->get_option("--owner")->description("of this owner's jobs only")->group("Options");
      made->add_flag("--json", given.json, "print JSON");
      made->callback([this, wish] {
        action = [this, wish](const LoadedConfig& c) {
          return jobs_pause(c.config, wish, given.config["owner"], given.output(), hooks);
        };
      });
    };
    add_pause("pause", "let no waiting job start until resumed; what runs goes on", PauseWish::pause);
    add_pause("resume", "end a pause", PauseWish::resume);
  }

  void add_catalog_commands() {
    CLI::App* models = app.add_subcommand("models", "list and add models");
    models->require_subcommand(1);
    CLI::App* list = command("list", "every model and its state", models);
    list->add_flag("--json", given.json, "print JSON");
    list->callback(
        [this] { action = [this](const LoadedConfig& c) { return models_list(c.config, given.output(), hooks); }; });
    CLI::App* add = command("add", "register model files that lie anywhere", models);
    add->add_option("name", model_name, "title of the model")->required();
    add->add_option("--part", parts, "ROLE=FILE, such as checkpoint=model.safetensors or taesd=taesd.safetensors")
        ->required()
        ->allow_extra_args(false);
    add->callback(
        [this] { action = [this](const LoadedConfig& c) { return models_add(c.config, model_name, parts, hooks); }; });

    command("trace", "what the scheduler decided and the gpus did lately, as a trace for ui.perfetto.dev")
        ->callback([this] { action = [this](const LoadedConfig& c) { return trace(c.config, hooks); }; });

    CLI::App* gpus = command("gpus", "the gpus of this machine, and what they do if a server runs");
    gpus->add_flag("--json", given.json, "print JSON");
    gpus->add_flag("--watch", watch, "show them live, once a second; q leaves");
    gpus->require_subcommand(0, 1);
    gpus->callback([this] {
      if (action) return;  // that of `pick`
      action = [this](const LoadedConfig& c) {
        return watch ? gpus_watch(c.config, hooks) : gpus_list(c.config, given.output(), hooks);
      };
    });
    const auto add_order = [&](const char* name, const char* help) {
      CLI::App* order = command(name, help, gpus);
      order->add_option("gpu", setting, "UUID or number of the gpu")->required();
      order->add_flag("--json", given.json, "print JSON");
      order->callback([this, name] {
        action = [this, name](const LoadedConfig& c) {
          return gpus_order(c.config, setting, name, given.output(), hooks);
        };
      });
    };
    add_order("drain", "give a gpu no new work until it is resumed; what runs finishes");
    add_order("resume", "end a drain or a retirement; try a gpu in quarantine now");
    add_order("retire", "take a gpu out of service at once; what runs there is made elsewhere");
    CLI::App* pick = command("pick", "print the UUIDs of idle gpus, for CUDA_VISIBLE_DEVICES", gpus);
    pick->add_flag("--idle")->description("idle ones (there is no other choice)");
    pick->add_option("--count", pick_count, "how many, 1-16")->check(CLI::Range(1, 16));
    pick->add_flag("--wait", pick_waits, "wait until so many are idle");
    pick->add_flag("--json", given.json, "print JSON");
    pick->callback([this] {
      action = [this](const LoadedConfig& c) {
        return gpus_pick(c.config, pick_count, pick_waits ? Wait::until_idle : Wait::no, given.output(), hooks);
      };
    });
  }

  void add_simulate_command() {
    CLI::App* command = app.add_subcommand("simulate", "compare the scheduler with others, in virtual time");
    command->footer(kSimulateFooter);
    const auto add = [&](const char* flag, std::optional<std::string>& value, const char* type, const char* help) {
      command
          ->add_option_function<std::string>(
              flag, [&value](const std::string& text) { value = text; }, help)
          ->type_name(type);
    };
    SimulateArguments& a = simulation;
    add("--trace", a.traces, "T1,T8", "which workloads, T1 to T12; without any: T1");
    command->add_flag("--all", a.all, "every workload, 5 seeds");
    add("--regime", a.regimes, "NAME", "how long loads take: slow (the default), fast, remote, sdcpp");
    add("--policy", a.policies, "NAME,...", "which policies; without: all of them");
    add("--capabilities", a.capabilities, "NAME", "what an engine can do: ideal (the default) or sdcpp");
    add("--seeds", a.seeds, "N", "how many seeds, 1-100; without: 5 with --all, else 1");
    add("--seed-base", a.seed_base, "N", "the first seed, the others follow in steps of 100; without: 300");
    add("--gpus", a.gpus, "SPEC", "these gpus instead of the workload's own, such as H100+2x4090");
    add("--trace-file", a.trace_file, "CSV", "jobs of your own: arrival_s,user,model,images,steps[,pixels]");
    add("--models-file", a.models_file, "CSV", "their models: model,family,gigabytes");
    command->add_flag("--from-history", a.from_history, "the jobs of your own data directory, as they came");
    command
        ->add_option_function<std::string>(
            "--data", [this](const std::string& text) { given.config["data"] = text; },
            "that data directory, where it is not the configured one")
        ->type_name("DIR");
    add("--machine-file", a.machine_file, "TXT", "their machine: a gpu type a line, host_gigabytes N ...");
    add("--json", a.json_file, "FILE", "write every run as JSON; -: to standard output, instead of tables");
    add("--report", a.report_folder, "DIR", "write DIR/index.html: curves, strips and tables in one page");
    command->add_flag("--sustainable", a.sustainable, "the load that each policy carries at p95 wait <= 60 s");
    command->add_flag("--ablation", a.ablation, "amp with one part left out at a time");
    command->callback([this] {
      if (simulation.from_history) {
        action = [this](const LoadedConfig& c) { return simulate_history(simulation, c.config, hooks); };
        return;
      }
      exit_code = simulate(simulation);
      finished = true;
    });
  }

  void add_internal_commands() {
    CLI::App* worker = app.add_subcommand("worker", "")->group("");
    worker->add_option("--socket-fd", socket_fd)->required();
    worker->callback([this] {
      exit_code = hooks.worker(socket_fd);
      finished = true;
    });
    app.add_subcommand("gpu-monitor", "")->group("")->callback([this] {
      exit_code = hooks.gpu_monitor();
      finished = true;
    });
  }

  int run_action() {
    if (finished) return exit_code;
    if (!action) {
      std::fputs(app.help().c_str(), stdout);
      return kExitUsage;
    }
    const auto loaded = load_config(given.config, process_environment());
    if (!loaded) return report(loaded.error());
    return action(*loaded);
  }

  const Hooks& hooks;
  CLI::App app{"PixelFleet: an image-generation server that keeps every GPU of a machine busy.", "pixelfleet"};
  Given given;
  std::function<int(const LoadedConfig&)> action;
  bool finished = false;
  int exit_code = kExitOk;
  std::string states;
  int limit = 50;
  std::int64_t id = 0;
  Selection selection;
  Destination destination;
  std::string setting;
  std::string model_name;
  std::vector<std::string> parts;
  bool watch = false;
  int pick_count = 1;
  bool pick_waits = false;
  int socket_fd = -1;
  SimulateArguments simulation;
};

}  // namespace

int run(int argc, const char* const* argv, const Hooks& hooks) {
  const auto headless = process_environment()("HEADLESS");
  if (argc == 1 && headless && *headless == "true") return run_headless(hooks);
  CommandLine line(hooks);
  try {
    line.app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return line.app.exit(e) == 0 ? kExitOk : kExitUsage;
  }
  return line.run_action();
}

}  // namespace pixelfleet::cli
