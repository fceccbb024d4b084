#!/usr/bin/env python3
"""tools/tidy.py finds every fault that it is there for: each is planted once in a small tree."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TIDY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tidy.py")
LONG = "int f() {\n" + "  int x = 0;\n" * 71 + "}\n"
PLANTED = {  # path: (text, a part of the expected fault)
    "src/wire/layer.cpp": ('#include "policy/nouns.hpp"\n', "wire may not include policy"),
    "src/wire/bare.cpp": ('#include "nouns.hpp"\n', 'write "room/file.hpp"'),
    "docs/protocols/rfc1.txt": ("RFC 1 | One\n1 | A | done | | No.Such\n", "there is no test 'No.Such'"),
    "docs/protocols/rfc2.txt": ("RFC 2 | Two\n1 | A | none | |\n3 | C | none | |\n", "3 does not follow 1"),
    "docs/protocols/rfc3.txt": ("RFC 3 | Three\n1 | A | refused | |\n", "does not say why"),
    "src/wire/clock.cpp": ("auto t() { return std::chrono::steady_clock::now(); }\n", "time is an argument"),
    "src/wire/thread.cpp": ("std::thread t;\n", "pure rooms have no threads"),
    "src/wire/chance.cpp": ("int r() { return rand(); }\n", "chance is an argument"),
    "src/wire/socket.cpp": ("int s() { return socket(AF_INET, 2, 0); }\n", "I/O is an argument"),
    "src/wire/file.cpp": ('void* o() { return fopen("x", "r"); }\n', "I/O is an argument"),
    "src/wire/env.cpp": ('char* e() { return getenv("X"); }\n', "settings are arguments"),
    "src/wire/format.cpp": ("#include <format>\n", "not in both"),
    "src/wire/once.hpp": ("int x;\n", "without #pragma once"),
    "src/wire/wide.cpp": ("// " + "x" * 98 + "\n", "101 columns"),
    "src/wire/open.cpp": ("// TO" + "DO: later\n", "open end"),
    "src/wire/long_function.cpp": (LONG, "a function of 73 lines"),
    "src/wire/long_file.cpp": ("int x;\n" * 801, "801 lines"),
    "src/wire/blank.cpp": ("int x; \n", "white space"),
    "docs/place.md": ("See /" + "work/x.\n", "a place of one machine"),
    "src/stray/x.cpp": ("int x;\n", "room stray is not in tools/layers.txt"),
}
FINE = {  # what must not be found
    "src/daemon/clock.cpp": "auto t() { return std::chrono::steady_clock::now(); }\n",
    "src/wire/words.cpp": '// fopen( and rand( in a comment\nconst char* s = "getenv(x)";\nint n = 1\'000;\n',
    "src/wire/x_test.cpp": '#include "policy/nouns.hpp"\nstd::thread t;\n',
    "src/wire/README.md": "wire\n", "src/daemon/README.md": "daemon\n", "src/policy/README.md": "policy\n",
    "README.md": "x\n", "ARCHITECTURE.md": "x\n", "CONTRIBUTING.md": "x\n", "CHANGELOG.md": "x\n",
    "LICENSE": "Apache License\n", "run": "x\n", ".ci/run": "x\n",
    "src/policy/nouns.hpp": "#pragma once\n",
    "tools/layers.txt": "wire:\npolicy: wire\ndaemon: wire policy\n",
}
ROOMS = "espalier_room(wire)\nespalier_room(policy DEPS wire LIBS x)\nespalier_room(daemon DEPS wire policy)\n"


class Tidy(unittest.TestCase):
    def tidy(self, files):
        root = tempfile.mkdtemp(prefix="espalier-tidy-")
        self.addCleanup(shutil.rmtree, root)
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        done = subprocess.run([sys.executable, TIDY, root], capture_output=True, text=True,
                              env={**os.environ, "PATH": "/nonexistent"})
        return done.returncode, done.stdout

    def test_a_clean_tree_passes(self):
        status, output = self.tidy({**FINE, "src/CMakeLists.txt": ROOMS})
        self.assertEqual(status, 0, output)

    def test_each_fault_is_found_in_its_file(self):
        status, output = self.tidy({**FINE, "src/CMakeLists.txt": ROOMS, **{p: t for p, (t, _) in PLANTED.items()}})
        self.assertEqual(status, 1)
        for path, (_, words) in PLANTED.items():
            self.assertTrue(any(line.startswith(path) and words in line for line in output.splitlines()),
                            f"{path}: '{words}' was not found in\n{output}")
        for path in FINE:
            self.assertFalse([line for line in output.splitlines() if line.startswith(path + ":")])

    def test_cmake_and_layers_must_agree(self):
        _, output = self.tidy({**FINE, "src/CMakeLists.txt": ROOMS.replace("policy DEPS wire", "policy DEPS daemon")})
        self.assertIn("DEPS of policy", output)

    def test_a_room_without_its_page_is_found(self):
        files = {**FINE, "src/CMakeLists.txt": ROOMS}
        del files["src/policy/README.md"]
        self.assertIn("src/policy/: a room without a README.md", self.tidy(files)[1])


if __name__ == "__main__":
    unittest.main()
