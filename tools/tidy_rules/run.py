"""Which files are checked, and by which rules."""
import pathlib
import subprocess

from . import calls, co_await, includes, style
from .text import SourceFile

SUFFIXES = {".cc", ".h", ".c", ".cmake", ".txt", ".py", ".sh", ".md", ".yaml", ".yml", ".json", ".ts", ".mjs", ".js",
            ".svelte", ".css", ".html", ".svg", ".service", ".ini", ".toml", ""}
NEVER = {"build", "node_modules", "dist", ".git", "__pycache__", "data", "output_images", "models"}
# Inputs of tests that are wrong on purpose.
DATA = ("tests/data/", "fuzz/corpus/")


def list_files(root):
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"],
                            capture_output=True, check=False)
    if listed.returncode == 0 and (root / ".git").exists():
        paths = [name for name in listed.stdout.decode().split("\0") if name]
    else:
        paths = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()]
    for path in sorted(set(paths)):
        parts = pathlib.PurePosixPath(path)
        if NEVER & set(parts.parts[:-1]) - ({"data"} if parts.parts[0] in ("src", "web") else set()):
            continue
        full = root / path
        if path.startswith(DATA) or parts.suffix not in SUFFIXES or not full.is_file() or full.is_symlink():
            continue
        if b"\0" not in full.read_bytes()[:4096]:
            yield path


def check_tree(root):
    sources = [SourceFile(root, path) for path in list_files(root)]
    dependencies = includes.read_dependencies(root)
    findings = []
    for source in sources:
        for rule in (style.check_text, style.check_cpp, calls.check, co_await.check):
            findings += rule(source)
        findings += includes.check(source, dependencies)
    findings += includes.check_async_files(sources)
    return sorted(set(findings)), len(sources)
