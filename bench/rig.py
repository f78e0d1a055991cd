"""What the programs of this folder share: servers to measure, and what the system says of their processes."""
import os
import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/process"))

from harness import Server  # noqa: E402


def new_server(name, **options):
    """A server with multi-GPU on and a folder of its own, not started yet."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"pixelfleet-bench-{name}-"))
    environment = {"PIXELFLEET_MULTI_GPU": "1", "PIXELFLEET_MAX_GPUS": "8"}
    return Server(folder, environment=environment, **options)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def memory(pid, kind):
    """Bytes of a process: Rss counts pages shared with others in full, Pss in proportion (so that a tree adds up)."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pids):
    """Of the processes and of their children that have ended."""
    ticks = 0
    for pid in pids:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def machine_cpu():
    """(busy, all) seconds of all cores since the system started: what everybody took, not only the bench."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    ticks = os.sysconf("SC_CLK_TCK")
    return (sum(fields) - fields[3] - fields[4]) / ticks, sum(fields) / ticks


def print_table(head, rows):
    print("| " + " | ".join(head) + " |\n| " + " | ".join("---" for _ in head) + " |")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
