#!/usr/bin/env python3
"""House rules as a test: layering, sizes, banned calls in the pure rooms, formatting.

Prints one line per fault (file:line: what is wrong) and exits 1 if there is any. CONTRIBUTING.md says why
each rule is there. Usage: tools/tidy.py [ROOT]
"""
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # no cache in the source tree
import protocols  # noqa: E402

ROOT = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), ".."))
MAX_FILE_LINES = 800
MAX_FUNCTION_LINES = 70
MAX_COLUMNS = 100

# The rooms that may call the operating system; every other room is pure: time, chance and I/O are arguments.
IMPURE = ("dataplane/kernel/", "dataplane/userspace/", "daemon/", "cli/", "apps/")
BANNED = [  # (pattern, what to do instead)
    (r"_clock::now\s*\(", "time is an argument"),
    (r"\b(clock_gettime|gettimeofday|time\s*\(\s*(NULL|nullptr|0)\s*\))", "time is an argument"),
    (r"(?<![\w:.>])(::)?socket\s*\(\s*(AF_|PF_)", "I/O is an argument"),
    (r"\b(fopen|popen|mmap|epoll_\w+|recvfrom|sendto|recvmmsg|sendmmsg)\s*\(", "I/O is an argument"),
    (r"\bstd::(i|o)?fstream\b", "I/O is an argument"),
    (r"\bstd::(j?thread|async|mutex|condition_variable)\b", "pure rooms have no threads"),
    (r"\b(getenv|secure_getenv|setenv)\s*\(", "settings are arguments"),
    (r"(?<![\w.>])s?rand(om)?\s*\(", "chance is an argument (crypto/rng.hpp)"),
    (r"\bstd::(random_device|mt19937\w*)\b", "chance is an argument (crypto/rng.hpp)"),
    (r"\b(usleep|nanosleep|sleep_for|sleep_until)\s*\(", "pure rooms do not wait"),
    (r"\b(printf|puts|abort|exit)\s*\(|\bstd::c(out|err)\b", "pure rooms print nothing and end nothing"),
]
# Files that only tests and fuzz targets are made of.
TEST_ONLY = ("_test.cpp", "_fuzz.cpp", "_testing.hpp", "test_support.hpp", "sim/seeds.hpp")
EXEMPT = {  # file: patterns' remedies it may break, with the reason
    "src/base/assert.cpp": "the one place that prints and aborts, for our own bugs",
}
NOT_IN_CPP20_HERE = [  # GCC 12 and Clang 14 must both take the code
    (r"#include <(expected|format|source_location|print|generator|stacktrace)>", "not in both GCC 12 and Clang 14"),
]
faults = []


def fault(path, line, text):
    faults.append(f"{path}:{line}: {text}" if line else f"{path}: {text}")


def tracked_files():
    """Every file of the project, as git sees it, with those not yet added; else a walk."""
    try:
        out = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z"],
                             capture_output=True, check=True).stdout.decode()
        files = [f for f in out.split("\0") if f]
        if files:
            return sorted(f for f in set(files) if os.path.isfile(os.path.join(ROOT, f)))
    except (OSError, subprocess.CalledProcessError):
        pass
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [d for d in folders if d not in (".git", "build", "__pycache__", ".cache")]
        found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names]
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def without_comments_and_strings(text):
    """The same number of lines; comments, strings and character literals blanked."""
    pattern = re.compile(
        r'R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
        re.S)

    def blank(match):
        token = match.group(0)
        kept = '""' if token[0] in '"R' else ("' '" if token[0] == "'" else "")
        return kept + "\n" * token.count("\n")

    # Digit separators (1'000) are no character literals.
    return pattern.sub(blank, re.sub(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])", "", text))


def read_layers():
    layers = {}
    for line in read("tools/layers.txt").splitlines():
        line = line.split("#")[0].strip()
        if line:
            room, _, deps = line.partition(":")
            layers[room.strip()] = deps.split()
    return layers


def check_cmake_layers(layers):
    text = re.sub(r"#[^\n]*", "", read("src/CMakeLists.txt"))
    seen = set()
    for body in re.findall(r"espalier_room\(([^)]*)\)", text):
        words = body.split()
        room, deps, key = words[0], [], None
        for word in words[1:]:
            if word in ("DEPS", "LIBS", "TEST_DEPS", "TEST_LIBS"):
                key = word
            elif key == "DEPS":
                deps.append(word)
        seen.add(room)
        if room not in layers:
            fault("src/CMakeLists.txt", 0, f"room {room} is not in tools/layers.txt")
        elif sorted(deps) != sorted(layers[room]):
            fault("src/CMakeLists.txt", 0, f"DEPS of {room} are '{' '.join(deps)}', tools/layers.txt says "
                                           f"'{' '.join(layers[room])}'")
    for room in set(layers) - seen - {"apps", "sim"}:
        fault("tools/layers.txt", 0, f"room {room} is not in src/CMakeLists.txt")


def check_includes(path, text, layers):
    room = "sim" if path.startswith("sim/") else path.split("/")[1]
    if room not in layers:
        fault(path, 0, f"room {room} is not in tools/layers.txt")
        return
    allowed = set(layers[room]) | {room}
    if path.endswith(TEST_ONLY):
        allowed |= set(layers)  # tests may bring a neighbour; TEST_DEPS in src/CMakeLists.txt names it
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not match:
            continue
        target = match.group(1)
        if "/" not in target:
            fault(path, number, f'includes "{target}": write "room/file.hpp"')
        elif target.split("/")[0] not in allowed:
            fault(path, number, f"{room} may not include {target.split('/')[0]} (tools/layers.txt)")


def check_banned(path, code):
    inside = path.removeprefix("src/")
    for number, line in enumerate(code.splitlines(), 1):
        for pattern, remedy in NOT_IN_CPP20_HERE:
            if re.search(pattern, line):
                fault(path, number, f"'{line.strip()}': {remedy}")
    if inside.startswith(IMPURE) or path in EXEMPT or inside.endswith(TEST_ONLY):
        return
    for number, line in enumerate(code.splitlines(), 1):
        for pattern, remedy in BANNED:
            match = re.search(pattern, line)
            if match:
                fault(path, number, f"'{match.group(0).strip()}' in a pure room: {remedy}")


def check_functions(path, code):
    """Length of each function body: an opening brace after ')' and qualifiers, outside other functions."""
    depth, start, start_depth, before = 0, None, 0, ""
    line = 1
    for char in code:
        if char == "\n":
            line += 1
        if char == "{":
            head = before.strip()
            is_function = start is None and re.search(
                r"\)\s*(const|noexcept|override|final|mutable|&|&&|->\s*[\w:<>,\s&*\[\]]+|:\s*[^;{}]*\)?)?\s*(override|final)?\s*$", head) \
                and not re.search(r"(^|[\s;}])(namespace|class|struct|enum|union)\s[^()]*$", head) \
                and not re.search(r"\b(TEST|TEST_F|TEST_P|TYPED_TEST)\s*\([^()]*\)\s*$", head)
            if is_function:
                start, start_depth = line, depth
            depth += 1
            before = ""
        elif char == "}":
            depth -= 1
            before = ""
            if start is not None and depth == start_depth:
                length = line - start + 1
                if length > MAX_FUNCTION_LINES:
                    fault(path, start, f"a function of {length} lines; {MAX_FUNCTION_LINES} are allowed")
                start = None
        elif char == ";":
            before = ""
        else:
            before = (before + char)[-400:]


def check_source(path, layers):
    text = read(path)
    lines = text.splitlines()
    if len(lines) > MAX_FILE_LINES:
        fault(path, 0, f"{len(lines)} lines; {MAX_FILE_LINES} are allowed")
    if path.endswith(".hpp") and "#pragma once" not in text:
        fault(path, 1, "a header without #pragma once")
    in_raw = False
    for number, line in enumerate(lines, 1):
        if 'R"' in line:
            in_raw = True
        if len(line) > MAX_COLUMNS and not in_raw:
            fault(path, number, f"{len(line)} columns; {MAX_COLUMNS} are allowed")
        if ')"' in line or re.search(r'\)\w+"', line):
            in_raw = False
        if re.search(r"\b(TODO|FIXME|XXX)\b", line):
            fault(path, number, "an open end (TODO, FIXME, XXX): finish it, or write an issue")
    code = without_comments_and_strings(text)
    if path.startswith(("src/", "sim/")):
        check_includes(path, text, layers)
        check_banned(path, code)
    check_functions(path, code)


# Written in pieces, so that this file does not find itself.
PLACES = re.compile("(?<![\\w.])/" + "work/|/" + "home/\\w|/" + "root/|dev" + "pi|\\." + "corp\\b")


def check_text(path):
    """Words and places that belong to one machine only."""
    if path.endswith((".pem", ".der", ".bin", ".pcap", ".png", ".svg")) or "/corpus/" in path:
        return
    for number, line in enumerate(read(path).splitlines(), 1):
        match = PLACES.search(line)
        if match:
            fault(path, number, f"'{match.group(0)}': a place of one machine")
        if path.endswith((".cpp", ".hpp", ".py", ".txt", ".md", ".sh")) and line != line.rstrip():
            fault(path, number, "white space at the end of the line")


def check_rooms(files, layers):
    for room in layers:
        folder = "sim/" if room == "sim" else f"src/{room}/"
        if any(f.startswith(folder) and f.endswith((".cpp", ".hpp")) for f in files) and folder + "README.md" not in files:
            fault(folder, 0, "a room without a README.md (what lives here, what it may know)")
    for needed in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "run", ".ci/run"):
        if needed not in files:
            fault(needed, 0, "is missing")
    if "LICENSE" in files and "Apache License" not in read("LICENSE")[:400]:
        fault("LICENSE", 1, "is not the Apache License")


def check_format(sources):
    tool = shutil.which("clang-format")
    if not tool:
        print("tidy: clang-format is not installed: NOT CHECKED (apt-get install clang-format)")
        return
    batches = [sources[i::4] for i in range(4)]

    def run(batch):
        if not batch:
            return ""
        return subprocess.run([tool, "--dry-run", "--ferror-limit=1", *batch], cwd=ROOT, capture_output=True,
                              text=True).stderr

    with ThreadPoolExecutor(4) as pool:
        output = "".join(pool.map(run, batches))
    for path in sorted(set(re.findall(r"^([^\s:]+):\d+:\d+: (?:warning|error): code should be", output, re.M))):
        fault(path, 0, "is not as clang-format leaves it: ./run format")


def main():
    files = tracked_files()
    layers = read_layers()
    sources = [f for f in files if f.endswith((".cpp", ".hpp")) and f.startswith(("src/", "sim/", "tests/", "tools/"))]
    check_cmake_layers(layers)
    check_rooms(files, layers)
    for path in sources:
        check_source(path, layers)
    for path in files:
        check_text(path)
    check_format(sources)
    if os.path.isdir(os.path.join(ROOT, "docs/protocols")):
        faults.extend(protocols.check(ROOT))
    for line in faults:
        print(line)
    print(f"tidy: {len(sources)} sources, {len(files)} files, {len(faults)} fault{'' if len(faults) == 1 else 's'}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
