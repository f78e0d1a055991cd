"""A source file as the rules see it: raw lines, and the same lines with comments and literals blanked out."""
import dataclasses
import pathlib
import re

_TOKEN = re.compile(
    r"""//[^\n]*                                 # line comment
      | /\*.*?\*/                                # block comment
      | R"(?P<tag>[^(\s]{0,16})\(.*?\)(?P=tag)"  # raw string
      | "(?:\\.|[^"\\\n])*"                      # string
      | (?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'      # character, not a digit separator
    """,
    re.DOTALL | re.VERBOSE,
)


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    path: str
    line: int
    rule: str
    message: str
    is_warning: bool = False

    def __str__(self):
        return f"{'warning: ' if self.is_warning else ''}{self.path}:{self.line}: {self.rule}: {self.message}"


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


class SourceFile:
    def __init__(self, root: pathlib.Path, path: str):
        self.path = path
        self.name = path.rsplit("/", 1)[-1]
        self.raw = (root / path).read_text(encoding="utf-8", errors="replace")
        self.lines = self.raw.split("\n")
        parts = path.split("/")
        self.folder = parts[1] if parts[0] == "src" and len(parts) > 2 else None
        self.is_cpp = path.endswith((".cc", ".h"))
        self.is_header = path.endswith(".h")
        self.is_test = path.endswith("_test.cc") or parts[0] == "tests"
        self.code = _TOKEN.sub(blank, self.raw) if self.is_cpp else ""

    def line_of(self, offset):
        return self.raw.count("\n", 0, offset) + 1

    def finding(self, line, rule, message, warning=False):
        return Finding(self.path, line, rule, message, warning)

    # Each match of `pattern` in the code (comments and literals blanked), as (line, text).
    def code_matches(self, pattern):
        return [(self.line_of(m.start()), m.group().strip()) for m in re.finditer(pattern, self.code)]

    # (line, included name, is it written with <>)
    def includes(self):
        for number, line in enumerate(self.lines, 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if match:
                yield number, match.group(2), match.group(1) == "<"
