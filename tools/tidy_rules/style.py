"""How text looks: lengths, white space, comments, words that do not belong into a repository."""
import re

LENGTH_MAX = 600
LENGTH_WARN = {True: 250, False: 400}  # by "is it a header"

# Addresses of package registries and paths of somebody's machine make a clone depend on where it was written.
HOSTS = re.compile(r"\b(?:registry|deb|security|archive|repo|proxy|files|index|upload)\.[\w-]+\.(?:org|com|io|net)\b", re.I)
HOME = re.compile(r"(?<![\w.~$}*-])/(?:work|root|home)/[A-Za-z_.]")

# C for the compilers of other people's plug-ins, which may be old.
C_HEADER = "src/engine/abi.h"

_TODO = re.compile(r"\b(?:TODO|FIXME|XXX)\b(?!\(#\d+\))")
_CODE_MARK = re.compile(r"=|::|->|\w\(|\bif \(|^(?:return|break|continue|else)\b")


def check_text(source):
    own = source.path.startswith("tools/tidy_rules/")
    generated = "generated" in " ".join(source.lines[:3]).lower() or source.name == "package-lock.json"
    for number, line in enumerate(source.lines, 1):
        if "\t" in line:
            yield source.finding(number, "tab", "indent with spaces")
        if line != line.rstrip():
            yield source.finding(number, "trailing-space", "ends in white space")
        if own:
            continue
        for rule, pattern, why in (("host", HOSTS, "names a package registry's address"),
                                   ("home-path", HOME, "names a path of one machine")):
            match = pattern.search(line)
            if match:
                yield source.finding(number, rule, f"`{match.group()}` {why}")
        if _TODO.search(line):
            yield source.finding(number, "todo", "write TODO(#ISSUE), or do it")
    count = len(source.lines) - 1
    if not generated and not source.name.endswith((".md", ".json", ".csv", ".lock", ".svg", "openapi.yaml")):
        if count > LENGTH_MAX:
            yield source.finding(count, "length", f"{count} lines, at most {LENGTH_MAX}: it holds two ideas")
        elif source.is_cpp and count > LENGTH_WARN[source.is_header]:
            yield source.finding(count, "length", f"{count} lines: look for two ideas", warning=True)
    if source.raw and not source.raw.endswith("\n"):
        yield source.finding(len(source.lines), "newline", "the last line has no end")


def check_cpp(source):
    if not source.is_cpp:
        return
    for number, line in enumerate(source.lines, 1):
        match = re.match(r"\s*// (.*[;{])$", line)
        if match and _CODE_MARK.search(match.group(1)):
            yield source.finding(number, "dead-code", "looks like code in a comment: git keeps it")
    if source.is_header:
        if not source.lines[0].startswith(("//", "/*")):
            yield source.finding(1, "file-header", "begin with one comment line: what the file decides or owns")
        if source.path == C_HEADER:
            return
        if "#pragma once" not in source.lines:
            yield source.finding(1, "pragma-once", "a header needs `#pragma once`")
        for line, text in source.code_matches(r"#\s*ifndef\s+\w+_H_*\b"):
            yield source.finding(line, "include-guard", f"`{text}`: `#pragma once` is enough")
