#!/usr/bin/env python3
"""Route-based pairs by a VTI device that the daemon makes, which the lab's kernel has; xfrm interfaces, which it has not, are
refused with a sentence."""
import unittest

import guest
import routed
from nodes import lib


class VtiDevice(routed.Routed, unittest.TestCase):
    mtu = 1422  # what fits ESP in UDP of 1500 octets, by the dearest of the default suites
    settings = f"interface: {{name: {routed.DEVICE}, type: vti}}, mark: 42"

    def test_xfrm_interfaces_are_refused_where_there_are_none(self):
        self.mesh.write(self.mesh.inventory(f"interface: {routed.DEVICE}, if_id: 42"))
        daemon = self.a.start()
        self.assertNotEqual(daemon.wait(20), 0)
        self.assertIn("this kernel has no xfrm interfaces", self.a.log())
        self.assertIn(f"'interface: {{name: {routed.DEVICE}, type: vti}}' and 'mark'", self.a.log())

    def test_a_device_of_somebody_else_stays(self):
        self.a.ip("link", "add", routed.DEVICE, "type", "vti", "local", "10.0.0.1", "remote", "10.0.0.9", "key", "7")
        self.mesh.write(self.mesh.inventory(self.settings))
        self.assertNotEqual(self.a.start().wait(20), 0)
        self.assertIn("there is a device of that name which is not ours", self.a.log())
        self.assertNotEqual(self.device(self.a), 0)
        self.a.ip("link", "delete", routed.DEVICE)


if __name__ == "__main__":
    lib.need_root()
    guest.need_kernel()
    unittest.main(verbosity=2)
