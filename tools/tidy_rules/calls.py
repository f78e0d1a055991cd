"""What code may call: pure folders compute and nothing else; a few things nobody may use."""
import re

PURE = {"domain", "scheduler", "health", "sharing", "prompts", "insights", "campaigns"}

# A free call: not a member, not a name in someone's namespace (but ::open and std::open count).
def call(names):
    return r"(?<![\w.>:])(?:std::|::)?(?:" + names + r")\s*\("


IN_PURE = [
    (r"\bnow\s*\(\s*\)|\b(?:clock_gettime|gettimeofday|localtime|gmtime)\w*\s*\(", "time is handed in as `now`"),
    (call("rand|srand|random") + r"|std::(?:random_device|mt19937\w*)", "randomness is handed in"),
    (r"std::(?:j?thread|async|future|promise|atomic\w*|condition_variable\w*|\w*mutex)\b|\bMutex\b|\bCondVar\b",
     "no threads and no locks"),
    (call("fopen|open|openat|creat|socket|read|write|popen|printf|puts") + r"|std::(?:[io]?fstream|cout|cerr|cin)\b"
     r"|std::filesystem::(?:exists|remove|rename|create_director\w*|directory_iterator)", "no I/O"),
    (r"#\s*include\s*<(?:iostream|fstream|thread|mutex|atomic|filesystem|unistd\.h|random)>", "no I/O, threads or locks"),
    (call("getenv|secure_getenv"), "configuration is handed in"),
    (r"\bthrow\b", "expected failures travel in Result, bugs in CHECK"),
]
UNORDERED = (r"\bunordered_(?:multi)?(?:map|set)\b", "iteration order must not depend on a hash; ties break by id")

EVERYWHERE = [
    ("sleep", r"\bsleep_(?:for|until)\b|" + call("sleep|usleep|nanosleep"), "wait for the event itself", None),
    ("rand", call("rand|srand"), "take an Rng (base/rng.h)", None),
    ("fork", call("fork|vfork|daemon"), "posix_spawn: fork copies the page tables of a big parent", None),
    ("shell", call("system|popen"), "spawn the program with its arguments", None),
    ("mutex", r"std::(?:recursive_|timed_|shared_)*mutex\b|std::(?:lock_guard|unique_lock|scoped_lock)\b",
     "Mutex and MutexLock of base/mutex.h, which clang checks", re.compile(r"^src/base/mutex\.h$")),
    ("thread", r"std::j?thread\b(?!::)", "threads start only in the edge files listed in tools/tidy_rules/calls.py",
     re.compile(r"_test\.cc$|^(?:tests|bench|fuzz)/|^src/(?:apps|engine|media|http|store|workers|gpu|hostmem)/|"
                r"^src/control/(?:loop|forecast_thread)\.(?:h|cc)$|^src/simulator/parallel\.cc$")),
    ("clock", r"\b(?:system|steady|high_resolution)_clock::now\b", "take a Clock (base/clock.h)",
     re.compile(r"_test\.cc$|^(?:tests|bench|fuzz)/|^src/(?:apps|engine|workers|gpu|http|cli|media|hostmem)/|"
                r"^src/base/clock\.cc$|^src/control/(?:loop|mailbox)\.cc$")),
]


def check(source):
    if not source.is_cpp:
        return
    for rule, pattern, instead, allowed in EVERYWHERE:
        if allowed and allowed.search(source.path):
            continue
        for line, text in source.code_matches(pattern):
            yield source.finding(line, rule, f"`{text}` is not used here: {instead}")
    if source.folder in PURE and not source.is_test:
        for pattern, instead in IN_PURE:
            for line, text in source.code_matches(pattern):
                yield source.finding(line, "pure", f"`{text}` in the pure folder {source.folder}/: {instead}")
    if source.folder in PURE - {"domain"}:
        for line, text in source.code_matches(UNORDERED[0]):
            yield source.finding(line, "pure", f"`{text}` in {source.folder}/: {UNORDERED[1]}")
