#!/usr/bin/env python3
"""A mesh that is up and has nothing to do does nothing: no daemon goes round and round, whatever the kernel reports of
devices that the daemon itself sets."""
import os
import time
import unittest

import lib

SECONDS = 4


def cpu_seconds(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


class Idle(unittest.TestCase):
    def test_nothing_to_do(self):
        lab = lib.Lab(lib.THREE)
        self.addCleanup(lab.close)
        lab.write_all(lib.inventory("idle", lib.THREE), lib.new_secret())
        for host in lab.hosts.values():
            host.start()
        lab.wait_up(30)
        # A device that comes, and goes down and up, is followed, and then there is peace again.
        bender = lab["bender"]
        bender.ip("link", "add", "extra", "type", "veth", "peer", "name", "extra1")
        bender.ip("link", "set", "extra1", "up")
        for state in ("up", "down", "up"):
            bender.ip("link", "set", "extra", state)
        time.sleep(2)
        pids = {name: host.daemon.pid for name, host in lab.hosts.items()}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        time.sleep(SECONDS)
        for name, pid in pids.items():
            # What an idle daemon takes is a hundredth of this.
            self.assertLess(cpu_seconds(pid) - before[name], SECONDS * 0.1, f"{name}\n{lab[name].daemon.log()[-2000:]}")


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
