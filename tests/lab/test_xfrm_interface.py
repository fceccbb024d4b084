#!/usr/bin/env python3
"""Route-based pairs by an xfrm interface, in Debian's own kernel under emulation: with the long tests."""
import sys
import unittest

import guest
import routed
from nodes import lib


class XfrmInterface(routed.Routed, unittest.TestCase):
    kernel, slow, hosts = "stock", 3, routed.HOSTS46
    mtu = 1406  # what fits ESP in UDP over IPv6 of 1500 octets, by the dearest of the default suites
    settings = f"interface: {routed.DEVICE}, if_id: 42"

    def test_trap(self):
        self.mesh.write(self.mesh.inventory(self.settings + ", start: trap"))
        self.mesh.start()
        for node in (self.a, self.b):
            self.wait("a daemon", node.status)
        self.assertEqual(self.a.states(), [])
        # What asks is lost: the device has no queue for it, whatever net.core.xfrm_larval_drop says.
        self.a.ping("10.2.0.1", 1, timeout=1)
        self.mesh.wait_up(timeout=30 * self.slow)
        self.assertEqual(self.a.ping("10.2.0.1", 3, timeout=10), 3, self.logs())
        self.assertIn("if_id 0x2a", self.a.states()[0]["text"])


if __name__ == "__main__":
    lib.need_root()
    reason = guest.why_not_stock()
    if reason:
        print(f"\n*** SKIPPED, NOT TESTED: {reason} ***\n", flush=True)
        sys.exit(guest.SKIP)
    unittest.main(verbosity=2)
