"""The simulator as a command: what it prints for programs, and what it says to wrong arguments."""
import json
import pathlib

from harness import run_program

KEYS = {"trace", "regime", "policy", "seed", "jobs", "mean_wait_s", "p50_wait_s", "p95_wait_s", "p99_wait_s", "max_wait_s",
        "loads", "foreground_loads", "foreground_load_s", "makespan_over_bound", "flow_over_bound", "utilisation_run",
        "decision_us_mean", "decision_us_p99"}
POLICIES = ["amp", "fifo", "v18", "sjf", "greedy-affinity", "swarmui", "mold-legacy", "mold-v2", "invokeai", "delay",
            "mqfq-sticky", "map"]


def simulate(*arguments, **options):
    return run_program("simulate", *arguments, timeout=120, **options)


def results(*arguments):
    done = simulate(*arguments, "--json", "-")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["results"]


def errors(*arguments):
    done = simulate(*arguments)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""
    return done.stderr


def test_json_on_standard_output_has_the_promised_keys():
    rows = results("--trace", "T1", "--policy", "fifo,swarmui", "--seeds", 1)
    assert [row["policy"] for row in rows] == ["fifo", "swarmui"]
    for row in rows:
        assert set(row) == KEYS
        assert (row["trace"], row["regime"], row["seed"], row["jobs"]) == ("T1", "slow", 300, 240)
        assert row["mean_wait_s"] <= row["p95_wait_s"] <= row["p99_wait_s"] <= row["max_wait_s"]
        assert row["foreground_loads"] <= row["loads"]
        assert row["makespan_over_bound"] >= 1.0 and row["flow_over_bound"] >= 1.0
    fifo, swarmui = rows
    assert fifo["loads"] == 240, "two models in turn: every job loads"
    assert swarmui["loads"] < 100


def test_every_policy_runs_and_the_same_seed_gives_the_same_result():
    def once():
        return [{key: row[key] for key in row if not key.startswith("decision_us")}
                for row in results("--trace", "T1", "--seeds", 2, "--seed-base", 0)]

    rows = once()
    assert [row["policy"] for row in rows[::2]] == POLICIES
    assert [row["seed"] for row in rows[:2]] == [0, 100]
    assert rows == once()


def test_a_trace_of_ones_own_runs_on_the_gpus_named(tmp_path):
    (tmp_path / "jobs.csv").write_text("arrival_s,user,model,images,steps\n0,0,0,1,20\n0,0,1,1,20\n")
    (tmp_path / "models.csv").write_text("model,family,gigabytes\n0,SDXL,6.9\n1,SDXL,6.9\n")
    rows = results("--trace-file", tmp_path / "jobs.csv", "--models-file", tmp_path / "models.csv", "--gpus", "2x4090",
                   "--policy", "fifo")
    assert rows[0]["trace"] == "jobs" and rows[0]["jobs"] == 2 and rows[0]["loads"] == 2


def test_the_tables_and_the_files_say_the_same(tmp_path):
    done = simulate("--trace", "T1,T8", "--policy", "swarmui,v18", "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    assert "geometric mean of T1, T8" in done.stdout
    rows = json.loads((tmp_path / "out.json").read_text())["results"]
    v18 = next(row for row in rows if (row["trace"], row["policy"]) == ("T1", "v18"))
    line = next(line for line in done.stdout.splitlines() if line.startswith("v18 "))
    assert line.split()[1] == f"{v18['mean_wait_s']:.0f}"


def test_errors_name_the_argument_what_was_wrong_and_what_is_allowed():
    text = errors("--trace", "T1,T99", "--policy", "swarm", "--seeds", 0)
    assert "--trace: no such name, did you mean T9? (got T99); allowed: T1, T2" in text
    assert "--policy: no such name, did you mean swarmui? (got swarm)" in text
    assert "--seeds: out of range (got 0); allowed: a whole number from 1 to 100" in text
    assert '"9xZZZ": neither a memory size nor a card we know' in errors("--trace", "T1", "--gpus", "9xZZZ")
    assert "needs 22.0 GB of gpu memory" in errors("--trace", "T6", "--gpus", "V100", "--policy", "fifo")


def test_a_broken_trace_file_is_told_with_line_and_column(tmp_path):
    (tmp_path / "models.csv").write_text("model,family,gigabytes\n0,SDXL,6.9\n")
    (tmp_path / "jobs.csv").write_text("arrival_s,user,model,images,steps\n0,0,0,1,20\n-5,0,0,1,20\n")
    text = errors("--trace-file", tmp_path / "jobs.csv", "--models-file", tmp_path / "models.csv", "--gpus", "4090")
    assert "line 3, column 1 (arrival_s)" in text


def test_t10_is_skipped_with_a_message_where_its_file_is_absent(tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "PIXELFLEET_TRACES": str(tmp_path)}
    done = simulate("--trace", "T1,T10", "--policy", "fifo", cwd=tmp_path, environment=environment)
    assert done.returncode == 0, done.stderr
    assert "T10 is skipped" in done.stdout
    alone = simulate("--trace", "T10", "--policy", "fifo", cwd=tmp_path, environment=environment)
    assert alone.returncode == 3
    assert "PIXELFLEET_TRACES" in alone.stderr


def test_an_unwritable_target_is_told_before_anything_runs(tmp_path):
    done = simulate("--all", "--json", tmp_path / "missing" / "out.json")
    assert done.returncode == 3
    assert "cannot write" in done.stderr and done.stdout == ""
    assert not pathlib.Path(tmp_path / "missing").exists()
