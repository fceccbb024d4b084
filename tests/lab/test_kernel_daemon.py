#!/usr/bin/env python3
"""Two daemons over the kernel's ESP, in a kernel that has it: traffic, rekeys without loss, nothing in the clear
and nothing interrupted while a daemon is away, killed or stopped, and a teardown that leaves other programs' SAs and policies."""
import os
import secrets
import subprocess
import unittest

import guest

BIN = os.environ.get("ESPALIER_BIN", os.path.join(guest.SOURCE, "build", "bin"))
HERE = os.path.dirname(os.path.abspath(__file__))


class KernelDaemon(unittest.TestCase):
    def test_two_hosts(self):
        secret = secrets.token_urlsafe(32)
        done = subprocess.run([*guest.LAB, "--timeout", "150", "bash", os.path.join(HERE, "kernel_daemon.sh"), BIN,
                               secret], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              timeout=175)
        saw = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        expected = {
            "clear_before": "3",  # the wire carries pings when nothing is protected
            "one_side": "0", "leaked": "0",  # closed
            "killed": "3", "stopped": "3",  # the kernel goes on
            "v4": "20", "v6": "20", "rekeys": "60", "again": "5",
            "clear_after": "3", "foreign": "11",
        }
        self.assertEqual({name: saw.get(name) for name in expected}, expected, done.stdout + done.stderr)
        self.assertGreaterEqual(int(saw["esp"]), 200, "that was not ESP")


if __name__ == "__main__":
    guest.need_kernel()
    unittest.main(verbosity=2)
