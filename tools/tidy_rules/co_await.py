"""GCC 12 miscompiles some full expressions that contain co_await: a temporary is destroyed twice.

Safe: name the value first, then move it. Flagged inside one full expression with co_await:
  * any braces that build a value: `co_await f(Agg{x})`, `co_await f({x})`, `vector<int>{co_await g(), 2}`
  * a lambda that captures by value: `co_await f([z] { ... })`   ([&], [&x], [this] and [] are fine)
The scan is lexical: it finds the statement around co_await and looks at each brace in it.
"""
import re

_OPEN = {")": "(", "]": "[", "}": "{"}
# What stands before a brace that opens a block rather than a value.
_BLOCK = re.compile(r"(?:\)|\]|;|\{|\}|:|\belse|\bdo|\btry|\bmutable|\bnoexcept|\bconst|\boverride|\bfinal"
                    r"|->\s*[\w:<>,\s*&]+?)\s*$")
_TAIL = re.compile(r"(?:\bmutable|\bnoexcept|\bconstexpr|->\s*[\w:<>,\s*&]+?)\s*$")


def matching_open(code, close):
    """Offset of the bracket that `code[close]` closes, or -1."""
    want, depth = _OPEN[code[close]], 0
    for i in range(close, -1, -1):
        if code[i] == code[close]:
            depth += 1
        elif code[i] == want:
            depth -= 1
            if depth == 0:
                return i
    return -1


def lambda_captures(code, brace):
    """The capture list if `code[brace]` opens a lambda's body, else None."""
    end = len(code[:brace].rstrip())
    while True:
        match = _TAIL.search(code, max(0, end - 200), end)
        if not match:
            break
        end = len(code[:match.start()].rstrip())
    if end and code[end - 1] == ")":
        end = len(code[:max(0, matching_open(code, end - 1))].rstrip())
    if not end or code[end - 1] != "]":
        return None
    start = matching_open(code, end - 1)
    before = code[:start].rstrip()
    if before and (before[-1].isalnum() or before[-1] in "_])"):
        return None  # an index, not a capture list
    return code[start + 1:end - 1]


def statement_start(code, offset):
    """Start of the full expression around `offset`, and whether a value's brace opened it."""
    i, depth = offset - 1, 0
    while i >= 0:
        c = code[i]
        if c in ")]":
            i = matching_open(code, i)
            if i < 0:
                return 0, False
        elif c == "}":
            if depth == 0 and _BLOCK.search(code, max(0, matching_open(code, i) - 200), matching_open(code, i)):
                return i + 1, False
            i = matching_open(code, i)
        elif c == ";":
            return i + 1, False
        elif c == "{":
            if _BLOCK.search(code, max(0, i - 200), i) or not code[:i].strip():
                return i + 1, False
            return i, True
        i -= 1
    return 0, False


def braces_of_expression(code, start, offset):
    """Each brace of the full expression that began at `start`, which contains `offset`."""
    i, depth = start, 0
    while 0 <= i < len(code):
        c = code[i]
        if c in "([":
            depth += 1
        elif c in ")]":
            depth -= 1
        elif c == ";" and i > offset:
            return
        elif c == "}" and i > offset:
            return
        elif c == "{":
            captures = lambda_captures(code, i)
            if captures is None and depth <= 0 and i > offset and _BLOCK.search(code, max(0, i - 200), i):
                return  # the block of if (co_await ...) {
            yield i, captures
            nested = 0
            while i < len(code):
                nested += (code[i] == "{") - (code[i] == "}")
                if nested == 0:
                    break
                i += 1
        i += 1


def by_value(captures):
    for capture in filter(None, (c.strip() for c in captures.split(","))):
        if not capture.startswith("&") and capture not in ("this",):
            return True
    return False


def check(source):
    code = source.code
    for match in re.finditer(r"\bco_await\b", code):
        line = source.line_of(match.start())
        start, in_value = statement_start(code, match.start())
        if in_value:
            yield source.finding(line, "co_await", "co_await inside braces that build a value: name the result first")
            continue
        for brace, captures in braces_of_expression(code, start, match.start()):
            if brace < match.start() and captures is not None and not by_value(captures):
                continue
            if captures is None:
                yield source.finding(line, "co_await", "a braced temporary in a co_await expression is destroyed twice "
                                     "by GCC 12: name it, then std::move it")
            elif by_value(captures):
                yield source.finding(line, "co_await", f"a lambda with captures [{captures.strip()}] in a co_await "
                                     "expression is destroyed twice by GCC 12: name it, then std::move it")
