#!/usr/bin/env python3
"""docs/protocols.md: what Espalier does of each RFC, section by section, from the tables in docs/protocols/.

A table is a text file. Its first line is "RFC number | title"; lines that begin with ">" are said above the
table; each other line is a row:

    section | title | state | how, or why not | tests

States: done, partial, refused, later, none (there is nothing to implement). Tests are Suite.Name of a C++ test,
or a file below the root, with :function for a Python test, separated by commas. A table that begins with another
word than RFC has whole RFCs as its rows. A row that is done or partial
names at least one, a row that is refused or later or partial says why, and sections follow each other
without a gap. Usage: tools/protocols.py [--write] [ROOT]; without --write it says what is wrong or stale.
"""
import glob
import os
import re
import sys

STATES = {"done": "done", "partial": "partly", "refused": "refused", "later": "not yet", "none": "—"}
HEAD = """# What Espalier does of each RFC

Written by `tools/protocols.py --write` from the tables in `docs/protocols/`; the tidy test fails when a test
that is named here does not exist, when a section is missing between two others, or when this page is stale.
*done*: all that the section asks of us. *partly*, *refused*, *not yet*: the row says what and why. A dash: the
section asks nothing of an implementation. Which message is legal when stands in
[generated/ikev2-states.md](generated/ikev2-states.md), the algorithms with their words in
[generated/algorithms.md](generated/algorithms.md). Espalier's own normative rules: [both ends start at
once](simultaneous-start.md), [the key of a pair](pair-key.md).
"""


def cpp_tests(root):
    """Suite.Name of every gtest below src/ and sim/."""
    names = set()
    pattern = re.compile(r"^(?:TEST|TEST_F|TEST_P)\((\w+),\s*(\w+)\)", re.M)
    for folder in ("src", "sim"):
        for path in glob.glob(f"{root}/{folder}/**/*_test.cpp", recursive=True):
            with open(path, encoding="utf-8") as file:
                names.update(f"{suite}.{name}" for suite, name in pattern.findall(file.read()))
    return names


def exists(root, test, names):
    if re.fullmatch(r"\w+\.\w+", test) and "/" not in test and not test.endswith((".py", ".cpp")):
        return test in names
    path, _, function = test.partition(":")
    if not os.path.exists(f"{root}/{path}"):
        return False
    if not function:
        return True
    with open(f"{root}/{path}", encoding="utf-8") as file:
        return re.search(rf"\b{re.escape(function)}\b", file.read()) is not None


def follows(previous, section):
    """Whether `section` may stand after `previous`: 1.2 after 1.1.3, 1.1.1 after 1.1, B.1 after 7.2."""
    a, b = previous.split("."), section.split(".")
    if not b[0].isdigit():
        return a[0].isdigit() or b != a
    b = [int(part) for part in b]
    if not all(part.isdigit() for part in a):
        return False
    a = [int(part) for part in a]
    if len(b) == len(a) + 1:
        return b[:-1] == a and b[-1] == 1
    return len(b) <= len(a) and b[:-1] == a[:len(b) - 1] and b[-1] == a[len(b) - 1] + 1


class Table:
    def __init__(self, root, path, names):
        self.faults, self.rows, self.words = [], [], []
        where = os.path.relpath(path, root)
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        self.number, _, self.title = (part.strip() for part in lines[0].partition("|"))
        previous = ""
        for at, line in enumerate(lines[1:], 2):
            if not line.strip():
                continue
            if line.startswith(">"):
                self.words.append(line[1:].strip())
                continue
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) != 5:
                self.faults.append(f"{where}:{at}: a row has 5 cells, this one {len(cells)}")
                continue
            section, _title, state, how, tests = cells
            tests = [test for test in re.split(r",\s*", tests) if test]
            if state not in STATES:
                self.faults.append(f"{where}:{at}: the state '{state}' is none of {', '.join(STATES)}")
                continue
            if state in ("done", "partial") and not tests:
                self.faults.append(f"{where}:{at}: section {section} is {state} and no test shows it")
            if state in ("refused", "later", "partial") and not how:
                self.faults.append(f"{where}:{at}: section {section} does not say why")
            ordered = self.number.startswith("RFC")
            if ordered and previous and not follows(previous, section):
                self.faults.append(f"{where}:{at}: section {section} does not follow {previous}")
            for test in tests:
                if not exists(root, test, names):
                    self.faults.append(f"{where}:{at}: there is no test '{test}'")
            previous = section
            self.rows.append((section, _title, state, how, tests))

    def summary(self):
        count = {state: sum(1 for row in self.rows if row[2] == state) for state in STATES}
        return [str(count[state]) for state in ("done", "partial", "later", "refused")]

    def heading(self):
        return f"{self.number}: {self.title}"

    def markdown(self):
        text = f"\n## {self.heading()}\n\n"
        if self.words:
            text += " ".join(self.words) + "\n\n"
        text += "| section | state | how, or why not | shown by |\n|---|---|---|---|\n"
        for section, title, state, how, tests in self.rows:
            shown = ", ".join(f"`{test}`" for test in tests)
            text += f"| {section} {title} | {STATES[state]} | {how} | {shown} |\n"
        return text


def page(root):
    """The text of docs/protocols.md and the faults of its tables."""
    names = cpp_tests(root)
    paths = sorted(glob.glob(f"{root}/docs/protocols/*.txt"))
    tables = [Table(root, path, names) for path in paths]
    tables.sort(key=lambda table: (table.number != "RFC 7296", int(re.sub(r"\D", "", table.number) or 99999)))
    text = HEAD + "\n| | done | partly | not yet | refused |\n|---|---|---|---|---|\n"
    for table in tables:
        anchor = re.sub(r"[^a-z0-9 -]", "", table.heading().lower()).replace(" ", "-")
        text += f"| [{table.number}](#{anchor}) {table.title} | {' | '.join(table.summary())} |\n"
    text += "".join(table.markdown() for table in tables)
    return text, [fault for table in tables for fault in table.faults]


def check(root):
    text, found = page(root)
    path = f"{root}/docs/protocols.md"
    have = ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            have = file.read()
    if have != text:
        found.append("docs/protocols.md: stale; run tools/protocols.py --write")
    return found


def main():
    arguments = sys.argv[1:]
    write = "--write" in arguments
    rest = [argument for argument in arguments if argument != "--write"]
    root = os.path.abspath(rest[0] if rest else os.path.join(os.path.dirname(__file__), ".."))
    if write:
        text, found = page(root)
        with open(f"{root}/docs/protocols.md", "w", encoding="utf-8") as file:
            file.write(text)
    else:
        found = check(root)
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
