#!/usr/bin/env python3
"""Route-based pairs with marks: a VTI device of the operator's, in the lab's kernel. What is routed through it is protected,
what comes past it is not taken, and drift, a restart and a teardown treat entries with a mark as any other."""
import re
import signal
import time
import unittest

import guest
import nodes
from nodes import lib

HOSTS = {"a": (["10.0.0.1/24"], ["10.1.0.0/24"]), "b": (["10.0.0.2/24"], ["10.2.0.0/24"])}
KEY = 42


class Vti(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = nodes.Mesh(HOSTS, timeout=250)

    @classmethod
    def tearDownClass(cls):
        cls.mesh.close()

    def setUp(self):
        self.a, self.b = self.mesh["a"], self.mesh["b"]
        for node, peer in ((self.a, self.b), (self.b, self.a)):
            node.ip("link", "add", "vti0", "type", "vti", "local", node.addresses[0].split("/")[0], "remote",
                    peer.addresses[0].split("/")[0], "key", str(KEY))
            # The device has asked for the policy already, with its key for the mark.
            node.run(["sysctl", "-q", "-w", "net.ipv4.conf.vti0.disable_policy=1"])
            node.ip("link", "set", "vti0", "up")
            self.route(node, peer)

    def tearDown(self):
        self.mesh.stop()
        for node in (self.a, self.b):
            node.ip("link", "del", "vti0", check=False)

    def route(self, node, peer):
        node.ip("route", "replace", peer.subnets[0], "dev", "vti0", "src", lib.first_address(node.subnets[0]))

    def logs(self):
        return "".join(f"\n--- {n.name}\n{n.log()[-3000:]}" for n in (self.a, self.b))

    def begin(self, defaults):
        self.mesh.write(self.mesh.inventory(defaults))
        self.mesh.start()
        self.mesh.wait_up()

    def ping(self, count=5):
        return self.a.ping(lib.first_address(self.b.subnets[0]), count, interval=0.05)

    def test_traffic_and_drift(self):
        self.begin(f"mark: {KEY}")
        wire = nodes.Listener(self.a, "icmp or esp")
        self.assertEqual(self.ping(), 5, self.logs())
        lines = wire.stop()
        self.assertEqual([line for line in lines if "ICMP" in line], [], "in the clear")
        self.assertGreaterEqual(len(lines), 5)
        (out,) = [s for s in self.a.states() if s["dst"] == "10.0.0.2"]
        self.assertIn(f"mark {KEY:#x}/0xffffffff", out["text"])
        marked = self.a.ip("xfrm", "policy").count(f"mark {KEY:#x}/0xffffffff")
        self.assertEqual(marked, 12, "two prefixes at each end, three directions")

        # Somebody removes one of them, and the SA with it.
        mark = ["mark", str(KEY)]
        self.a.ip("xfrm", "policy", "delete", "dir", "out", "src", "10.1.0.0/24", "dst", "10.2.0.0/24", *mark)
        self.a.ip("xfrm", "state", "delete", "src", out["src"], "dst", out["dst"], "proto", "esp", "spi", out["spi"], *mark)
        lib.wait_for("both again", lambda: self.a.ip("xfrm", "policy").count(f"mark {KEY:#x}") == 12 and
                     any(s["dst"] == "10.0.0.2" and s["spi"] != out["spi"] for s in self.a.states()), 15)
        lib.wait_for("traffic", lambda: self.ping(1) == 1, 10)
        self.assertIn("somebody removed the policy out 10.1.0.0/24 to 10.2.0.0/24, mark 0x2a/0xffffffff", self.a.log())

        # Past the device it leaves in the clear, and is not taken: the way in is closed for what has no mark.
        self.b.ip("route", "replace", "10.1.0.0/24", "via", "10.0.0.1", "src", "10.2.0.1")
        before = self.a.run(["cat", "/proc/net/xfrm_stat"]).stdout
        self.assertEqual(self.b.ping("10.1.0.1", 3), 0)
        after = self.a.run(["cat", "/proc/net/xfrm_stat"]).stdout
        blocked = [int(re.search(r"XfrmInPolBlock\s+(\d+)", text)[1]) for text in (before, after)]
        self.assertGreaterEqual(blocked[1] - blocked[0], 3)

    def test_restart_and_teardown(self):
        self.begin(f"mark: {KEY}/0xff")
        self.assertEqual(self.ping(), 5, self.logs())
        before = sorted(s["spi"] for s in self.a.states())
        flow = self.a.spawn(["ping", "-n", "-q", "-i", "0.02", "-c", "200", "-W", "2", "10.2.0.1"], "flow.log")
        for node in (self.a, self.b):
            node.daemon.stop(signal.SIGKILL)
            time.sleep(0.5)
            node.start()
        self.mesh.wait_up(timeout=15)
        lib.wait_for("the flow's end", lambda: not flow.alive(), 60)
        self.assertIn("200 received", flow.log(), flow.log() + self.logs())
        self.assertEqual(sorted(s["spi"] for s in self.a.states()), before, "keyed anew" + self.logs())
        self.assertNotIn("nothing wants them", self.a.log())
        self.a.espalier("rekey", "b")
        lib.wait_for("another SA", lambda: sorted(s["spi"] for s in self.a.states()) != before, 10)
        self.assertEqual(self.ping(), 5, self.logs())
        # Without a mark from now on: nothing with one is left.
        self.mesh.write(self.mesh.inventory(""))
        for node in (self.a, self.b):
            node.espalier("reload")
        lib.wait_for("no mark", lambda: "mark" not in self.a.ip("xfrm", "policy"), 60)
        self.a.daemon.stop()
        self.a.espalier("teardown")
        self.assertEqual((self.a.states(), self.a.policies()), ([], []))
        self.assertNotIn("journal", self.a.run(["ls", f"{self.a.inner}/run"]).stdout)


if __name__ == "__main__":
    lib.need_root()
    guest.need_kernel()
    unittest.main(verbosity=2)
