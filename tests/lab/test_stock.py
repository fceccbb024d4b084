#!/usr/bin/env python3
"""./run lab --kernel stock: Debian's own kernel has what the quick one lacks; status and streams pass, and neither end of it
leaves anything. With the long tests."""
import glob
import os
import subprocess
import sys
import tempfile
import unittest

import guest

INSIDE = r"""
set -e
echo "release=$(uname -r)"
echo "kernel=$ESPALIER_LAB"
ip link add x0 type xfrm if_id 7
echo "xfrm=$(ip -d link show x0 | grep -c 'if_id 0x7')"
nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }; add rule inet t c ipsec in reqid 1 counter'
echo "nft=$(nft list table inet t | grep -c reqid)"
echo inside >"$SHARED/from-the-guest"
if echo changed >"$PRIVATE/file" 2>/dev/null; then echo "private=$(cat "$PRIVATE/file")"; fi
read -r line
echo "line=$line"
echo on standard error >&2
exit 41
"""


def emulators(folder):
    """Those that were started for something in the folder."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                words = file.read()
        except OSError:
            continue
        if b"qemu-system" in words.split(b"\0")[0] and folder.encode() in words:
            found.append(path)
    return found


class Stock(unittest.TestCase):
    def test_a_command(self):
        with tempfile.TemporaryDirectory(prefix="espalier-stock-") as shared, tempfile.TemporaryDirectory() as private:
            with open(os.path.join(private, "file"), "w", encoding="ascii") as file:
                file.write("as it was")
            done = subprocess.run([*guest.LAB, "--kernel", "stock", "--share", shared, "--stdin", "bash", "-c", INSIDE],
                                  input="a line\n", capture_output=True, text=True, check=False, timeout=280,
                                  env={**os.environ, "SHARED": shared, "PRIVATE": private})
            self.assertEqual(done.returncode, 41, done.stdout + done.stderr)
            saw = dict(line.split("=", 1) for line in done.stdout.splitlines())
            self.assertRegex(saw.pop("release"), r"-amd64$")
            self.assertEqual(saw, {"kernel": "stock", "xfrm": "1", "nft": "1", "private": "changed", "line": "a line"})
            self.assertIn("on standard error\n", done.stderr)
            with open(os.path.join(shared, "from-the-guest"), encoding="ascii") as file:
                self.assertEqual(file.read(), "inside\n")
            with open(os.path.join(private, "file"), encoding="ascii") as file:
                self.assertEqual(file.read(), "as it was")
            self.assertEqual(emulators(shared), [])

    def test_the_time_limit(self):
        with tempfile.TemporaryDirectory(prefix="espalier-stock-") as shared:
            done = subprocess.run([*guest.LAB, "--kernel", "stock", "--share", shared, "--timeout", "5", "sleep", "1000"],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=100)
            self.assertEqual(done.returncode, 124, done.stderr)
            self.assertEqual(emulators(shared), [])


if __name__ == "__main__":
    reason = guest.why_not_stock()
    if reason:
        print(f"\n*** SKIPPED, NOT TESTED: {reason} ***\n", flush=True)
        sys.exit(guest.SKIP)
    unittest.main(verbosity=2)
