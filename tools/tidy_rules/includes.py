"""Who may include whom. The arrows are the DEPS of src/CMakeLists.txt, so there is one list for linker and reader."""
import re

# A folder that may see only a part of another.
PARTS = {
    ("http", "media"): re.compile(r"media/(reader|image_reader)\.h"),
    ("workers", "engine"): re.compile(r"engine/(abi|plugin)\w*\.h"),
}

# Prefix of a third-party header -> the files that may name it. The default: any source or private header.
PRIVATE = re.compile(r"(\.cc|_internal\.h)$")
THIRD_PARTY = [
    (re.compile(r"nlohmann/"), re.compile(r"^src/base/json\w*\.h$"), "base/json.h or base/json_full.h"),
    (re.compile(r"fmt/"), re.compile(r"^src/base/(format|log)\.h$"), "base/format.h"),
    (re.compile(r"spdlog/"), re.compile(r"^src/base/log\.cc$"), "base/log.h"),
    (re.compile(r"tl/"), re.compile(r"^src/base/result\.h$"), "base/result.h"),
    (re.compile(r"stable-diffusion\.h"), re.compile(r"^src/engine/sdcpp/"), "engine/sdcpp/, the plug-in made for it"),
    (re.compile(r"(sqlite3\.h|boost/|png\.h|jpeglib\.h|turbojpeg\.h|yaml-cpp/|CLI/|nvml|"
                r"curl/|zlib\.h|linux/|sys/epoll\.h)"), PRIVATE, "a source file or a private header named *_internal.h"),
]

ASYNC = re.compile(r"boost/(asio|beast)")
ASYNC_FILES_MAX = 4


def read_dependencies(root):
    """{folder: folders it may include}, from the pixelfleet_folder() calls below src/."""
    dependencies = {}
    for cmake in sorted((root / "src").glob("**/CMakeLists.txt")):
        for name, body in re.findall(r"pixelfleet_folder\(\s*(\w+)([^)]*)\)", cmake.read_text()):
            match = re.search(r"\bDEPS\b(.*?)(?=\b(?:LIBS|TEST_LIBS|EXCLUDE)\b|$)", body, re.DOTALL)
            dependencies[name] = set(match.group(1).split()) if match else set()
    # engine/ builds plug-in modules beside its library and apps/ only wires: neither is a plain folder.
    dependencies.setdefault("engine", {"domain", "base"})
    dependencies["apps"] = set(dependencies) | {"apps"}
    return dependencies


def check(source, dependencies):
    if not source.is_cpp:
        return
    for line, name, _ in source.includes():
        for pattern, allowed, instead in THIRD_PARTY:
            if pattern.match(name) and not allowed.search(source.path):
                yield source.finding(line, "third-party", f"<{name}> may be included only from {instead}")
        other = name.split("/")[0] if "/" in name else None
        if source.folder and other in dependencies and other != source.folder:
            if other not in dependencies.get(source.folder, set()):
                yield source.finding(line, "include", f"{source.folder}/ may not include {other}/ "
                                     "(arrows: DEPS in src/CMakeLists.txt, reasons: docs/ARCHITECTURE.md)")
            part = PARTS.get((source.folder, other))
            if part and not part.fullmatch(name):
                yield source.finding(line, "include", f"{source.folder}/ may see only {part.pattern} of {other}/")


def check_async_files(sources):
    """Beast and Asio cost 5-50 s and up to 1.6 GB in every file that instantiates them."""
    private = {s.path.split("src/", 1)[-1] for s in sources
               if s.path.endswith("_internal.h") and any(ASYNC.match(n) for _, n, _ in s.includes())}
    users = [s for s in sources if s.path.endswith(".cc")
             and any(ASYNC.match(n) or n in private for _, n, _ in s.includes())]
    for source in users[ASYNC_FILES_MAX:]:
        yield source.finding(1, "async-files", f"Asio or Beast in {len(users)} files, at most {ASYNC_FILES_MAX}: "
                             "go through a seam that takes plain structs: " + " ".join(s.path for s in users))
