"""Plants one violation of each kind in a scratch tree and expects each to be found, and clean code to pass."""
import pathlib
import tempfile

from . import run

HEADER = "// A file.\n"
H = HEADER + "#pragma once\n"

CMAKE = """pixelfleet_folder(base LIBS spdlog::spdlog)
pixelfleet_folder(domain DEPS base)
pixelfleet_folder(scheduler DEPS domain base)
pixelfleet_folder(media DEPS domain base)
pixelfleet_folder(store DEPS domain base LIBS PkgConfig::SQLITE)
pixelfleet_folder(http DEPS media domain base LIBS Boost::headers)
pixelfleet_folder(workers DEPS engine domain base)
"""


def await_in(expression):
    return HEADER + "awaitable<void> run() {\n  " + expression + "\n}\n"


# (rule, path, text): the rule must find something in that file.
PLANTED = [
    ("include", "src/domain/a.h", H + '#include "scheduler/b.h"\n'),
    ("include", "src/store/a.cc", HEADER + '#include "http/b.h"\n'),
    ("include", "src/http/a.cc", HEADER + '#include "media/encoder.h"\n'),
    ("include", "src/workers/a.cc", HEADER + '#include "engine/synthetic.h"\n'),
    ("third-party", "src/store/b.h", H + "#include <sqlite3.h>\n"),
    ("third-party", "src/http/b.h", H + "#include <boost/asio.hpp>\n"),
    ("third-party", "src/domain/b.cc", HEADER + "#include <nlohmann/json.hpp>\n"),
    ("third-party", "src/domain/c.cc", HEADER + "#include <fmt/format.h>\n"),
    ("third-party", "src/domain/d.cc", HEADER + "#include <spdlog/spdlog.h>\n"),
    ("third-party", "src/workers/s.cc", HEADER + "#include <stable-diffusion.h>\n"),
    ("async-files", "src/http/z5.cc", HEADER + "#include <boost/beast.hpp>\n"),
    ("pure", "src/scheduler/a.cc", HEADER + "auto t = std::chrono::steady_clock::now();\n"),
    ("pure", "src/scheduler/b.cc", HEADER + "int r = std::rand();\n"),
    ("pure", "src/scheduler/c.cc", HEADER + "std::thread t;\n"),
    ("pure", "src/scheduler/d.cc", HEADER + "Mutex m;\n"),
    ("pure", "src/scheduler/e.cc", HEADER + 'FILE* f = fopen("x", "r");\n'),
    ("pure", "src/scheduler/f.cc", HEADER + "#include <fstream>\n"),
    ("pure", "src/scheduler/g.cc", HEADER + "std::unordered_map<int, int> m;\n"),
    ("pure", "src/domain/e.cc", HEADER + "void f() { throw 1; }\n"),
    ("pure", "src/domain/f.cc", HEADER + 'auto p = getenv("P");\n'),
    ("pure", "src/domain/g.cc", HEADER + 'int d = ::open("x", 0);\n'),
    ("sleep", "src/store/c.cc", HEADER + "std::this_thread::sleep_for(x);\n"),
    ("sleep", "src/store/d.cc", HEADER + "void f() { usleep(3); }\n"),
    ("rand", "src/store/e.cc", HEADER + "int r = std::rand();\n"),
    ("fork", "src/workers/b.cc", HEADER + "int p = fork();\n"),
    ("shell", "src/workers/c.cc", HEADER + 'int p = std::system("ls");\n'),
    ("shell", "src/workers/d.cc", HEADER + 'auto p = popen("ls", "r");\n'),
    ("mutex", "src/store/f.cc", HEADER + "std::mutex m;\n"),
    ("thread", "src/base/a.cc", HEADER + "std::thread t;\n"),
    ("clock", "src/base/b.cc", HEADER + "auto t = std::chrono::system_clock::now();\n"),
    ("pragma-once", "src/base/a.h", HEADER),
    ("include-guard", "src/base/b.h", H + "#ifndef BASE_B_H\n#endif\n"),
    ("file-header", "src/base/c.h", "#pragma once\n"),
    ("todo", "src/base/d.cc", HEADER + "// TO" + "DO: later\n"),
    ("todo", "docs/a.md", "FIX" + "ME soon\n"),
    ("tab", "src/base/e.cc", HEADER + "\tint x;\n"),
    ("trailing-space", "docs/b.md", "text \n"),
    ("newline", "docs/c.md", "text"),
    ("length", "src/base/f.cc", HEADER + "int x;\n" * 700),
    ("dead-code", "src/base/g.cc", HEADER + "// x = f(y);\n"),
    ("dead-code", "src/base/h.cc", HEADER + "// if (x) {\n"),
    ("host", "docs/d.md", "see https://files.some" + "where.org/project/x\n"),
    ("host", "web/package-lock.json", '{"resolved": "https://registry.npm' + 'js.org/x"}\n'),
    ("home-path", "docs/e.md", "cd /ho" + "me/someone/x\n"),
    ("co_await", "src/http/c1.cc", await_in("co_await f(Agg{x, 1});")),
    ("co_await", "src/http/c2.cc", await_in("co_await f({x, 1});")),
    ("co_await", "src/http/c3.cc", await_in("co_return co_await f(Agg{.a = 1});")),
    ("co_await", "src/http/c4.cc", await_in("co_await fn([z] { return z; });")),
    ("co_await", "src/http/c5.cc", await_in("auto y = co_await fn([=]() mutable -> int { return z; });")),
    ("co_await", "src/http/c6.cc", await_in("for (int i : std::vector<int>{co_await g(), 2}) use(i);")),
    ("co_await", "src/http/c7.cc", await_in("if (co_await f(Agg{1})) { g(); }")),
    ("co_await", "src/http/c8.cc", await_in("auto s = std::vector<std::string>{a, b}.at(co_await g());")),
]

CLEAN = [
    ("src/CMakeLists.txt", CMAKE),
    ("src/base/ok.h", H + "// Opens a thing: open(path) may fail; see system(7).\nint sleep_count();\n"),
    ("src/base/log.cc", HEADER + "#include <spdlog/spdlog.h>\n"),
    ("src/base/mutex.h", H + "std::mutex mutex_;\n"),
    ("src/scheduler/ok.cc", HEADER + '#include "domain/job.h"\nconst char* k = "throw rand() fopen(";\n'
     "void f(Store& s) { s.open(1); reopen(2); }\n"),
    ("src/store/ok.cc", HEADER + "#include <sqlite3.h>\n"),
    ("src/http/ok.cc", HEADER + '#include "media/reader.h"\n' + """
awaitable<void> ok() {
  Agg query{x, 1};
  co_await f(std::move(query));
  auto done = [z] { return z; };
  co_await fn(std::move(done));
  co_await fn([&x] { return x; });
  co_await fn([this](int i) { return i; });
  if (co_await g()) {
    Agg other{1};
  }
  switch (co_await g()) {
    case 1: {
      co_await g();
      break;
    }
  }
  co_spawn(executor, [self]() -> awaitable<void> { co_await self->run(); }, detached);
  auto inner = [self]() -> awaitable<void> {
    Agg a{1};
    while (true) {
      auto n = co_await self->read(a);
      if (n == 0) co_return;
    }
  };
}
"""),
    ("docs/ok.md", "TODO" + "(#12) is fine, and so is ~/home/x and a session cookie.\n"),
]


def main():
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        extra = [(f"src/http/z{i}.cc", HEADER + "#include <boost/beast.hpp>\n") for i in range(1, 5)]
        for path, text in CLEAN + extra + [(p, t) for _, p, t in PLANTED]:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        found = {(f.rule, f.path) for f in run.check_tree(root)[0] if not f.is_warning}
    missed = [(rule, path) for rule, path, _ in PLANTED if (rule, path) not in found]
    clean_paths = {path for path, _ in CLEAN}
    false_alarms = [(rule, path) for rule, path in sorted(found) if path in clean_paths]
    for rule, path in missed:
        print(f"missed: {rule} in {path}")
    for rule, path in false_alarms:
        print(f"false alarm: {rule} in {path}")
    print(f"tools/tidy --self-test: {len(PLANTED)} planted, {len(missed)} missed, {len(false_alarms)} false alarms")
    return 1 if missed or false_alarms else 0
