#!/usr/bin/env python3
"""The kernel dataplane's own tests, in a kernel that has ESP: one boot for all of them."""
import os
import re
import subprocess
import unittest

import guest

BIN = os.environ.get("ESPALIER_BIN", os.path.join(guest.SOURCE, "build", "bin"))


class KernelPlane(unittest.TestCase):
    def test_contract_and_more(self):
        done = subprocess.run([*guest.LAB, "--timeout", "120", os.path.join(BIN, "dataplane_test"),
                               "--gtest_color=no", "--gtest_filter=Kernel*:XfrmSa.*:XfrmPolicy.*"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False, timeout=150)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("SKIPPED", done.stdout, "the lab's kernel has ESP")
        passed = re.search(r"\[  PASSED  \] (\d+) tests", done.stdout)
        self.assertIsNotNone(passed, done.stdout)
        self.assertGreaterEqual(int(passed.group(1)), 20, done.stdout)


if __name__ == "__main__":
    guest.need_kernel()
    unittest.main(verbosity=2)
