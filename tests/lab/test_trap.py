#!/usr/bin/env python3
"""start: trap by the kernel: policies and no SA until traffic asks, the packet that asked is held, policies stay when SAs
go, acquires of the time without a daemon are picked up, and net.core.xfrm_larval_drop is set, restored and left alone."""
import signal
import unittest

import guest
import nodes
from nodes import lib


class Trap(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = nodes.Mesh({"a": (["10.0.0.1/24", "2001:db8::1/64"], []), "b": (["10.0.0.2/24", "2001:db8::2/64"], []),
                               "c": (["10.0.0.3/24", "2001:db8::3/64"], [])})

    @classmethod
    def tearDownClass(cls):
        cls.mesh.close()

    def tearDown(self):
        self.mesh.stop()

    def larval_drop(self, node):
        return node.run(["cat", "/proc/sys/net/core/xfrm_larval_drop"]).stdout.strip()

    def begin(self, more="", settled=3):
        self.mesh.write(self.mesh.inventory("start: trap" + more))
        self.mesh.start()
        for node in self.mesh.nodes.values():
            lib.wait_for("a daemon", node.status, 15)

    def peers(self, node):
        own = {a.split("/")[0] for a in node.addresses}
        return {address for s in node.states() if s["spi"] != "0x00000000" for address in (s["src"], s["dst"])} - own

    def test_traffic_brings_up_what_it_needs(self):
        mesh, a = self.mesh, self.mesh["a"]
        self.assertEqual(self.larval_drop(a), "1")
        self.begin()
        clear = nodes.Listener(a, nodes.ECHOES)
        self.assertEqual(a.states(), [])
        status = a.status()
        self.assertEqual({pair["state"] for pair in status["pairs"]}, {"waiting"})
        self.assertTrue(all(pair["idle"] for pair in status["pairs"]))
        self.assertIn("xfrm_larval_drop is 0: espalierd set it", "".join(status["notes"]))
        self.assertEqual(self.larval_drop(a), "0")
        traps = set(a.policies())
        self.assertEqual(a.ping("10.0.0.2", 1, timeout=5), 1, "the packet that asks is held, not lost\n" + a.log())
        self.assertEqual(self.peers(a), {"10.0.0.2"}, "an SA to whom there is traffic, and to nobody else")
        self.assertEqual(a.ping("2001:db8::2", 5, interval=0.05), 5)
        self.assertEqual(a.ping("2001:db8::3", 1, timeout=5), 1, "held in the tunnel's other family too")
        self.assertEqual(self.peers(mesh["b"]), {"10.0.0.1"})
        # The SAs go with their peer; the traps stay, and ask again at once, not when the first asking is forgotten.
        mesh["b"].espalier("down", "a")
        lib.wait_for("no SA to b", lambda: "10.0.0.2" not in self.peers(a), 5)
        self.assertEqual({p[:4] for p in a.policies()}, {p[:4] for p in traps}, "policies stay when SAs go")
        began = a.log().count("initiating an IKE SA with 10.0.0.2")
        self.assertEqual(a.ping("10.0.0.2", 1, timeout=1), 0)
        lib.wait_for("the trap to ask again", lambda: a.log().count("initiating an IKE SA with 10.0.0.2") > began, 10)
        mesh["b"].espalier("up", "a")
        lib.wait_for("b again", lambda: a.ping("10.0.0.2", 1, timeout=1), 20)
        self.assertEqual(clear.stop(), [], "in the clear")
        for node in mesh.nodes.values():
            node.daemon.stop()
        self.assertEqual({p[:4] for p in a.policies()}, {p[:4] for p in traps})
        self.assertEqual(self.larval_drop(a), "0", "the traps stand, and so does what they need")
        a.espalier("teardown")
        self.assertEqual(self.larval_drop(a), "1", "restored by teardown")

    # Transport mode, and a stop by the operator.
    def test_transport_and_down(self):
        a = self.mesh["a"]
        self.begin(", mode: transport")
        self.assertEqual(a.ping("10.0.0.3", 1, timeout=5), 1, a.log())
        self.assertIn("transport", {s["mode"] for s in a.states()})
        a.espalier("down", "c")
        lib.wait_for("no SA", lambda: not self.peers(a), 5)
        self.assertEqual(a.ping("10.0.0.3", 2, timeout=1), 0, "down is down, whatever traffic wants")
        a.espalier("up", "c")
        self.assertEqual(a.ping("10.0.0.3", 3, interval=0.05), 3)

    # The kernel raises an acquire when anybody listens, and then not again for minutes.
    def test_acquires_of_the_time_without_a_daemon(self):
        a = self.mesh["a"]
        self.begin()
        a.daemon.stop(signal.SIGKILL)
        monitor = a.spawn(["ip", "xfrm", "monitor", "acquire"], "monitor.log")
        lib.wait_for("a larval SA", lambda: a.ping("10.0.0.3", 1, timeout=1) == 0
                     and any(s["spi"] == "0x00000000" for s in a.states()), 10)
        monitor.stop()
        a.start()
        lib.wait_for("the SA that was asked for", lambda: "10.0.0.3" in self.peers(a), 10)
        self.assertEqual(self.peers(a), {"10.0.0.3"})
        a.daemon.stop(signal.SIGKILL)
        self.assertEqual(self.larval_drop(a), "0")
        a.espalier("teardown")
        self.assertEqual(self.larval_drop(a), "1", "restored by teardown after a crash")

    def test_left_alone_where_another_program_uses_ipsec(self):
        a = self.mesh["a"]
        a.ip("xfrm", "policy", "add", "src", "192.0.2.1", "dst", "192.0.2.2", "dir", "out", "priority", "1000", "tmpl",
             "proto", "esp", "reqid", "7", "mode", "transport")
        self.addCleanup(a.ip, "xfrm", "policy", "delete", "src", "192.0.2.1", "dst", "192.0.2.2", "dir", "out")
        self.begin()
        self.assertEqual(self.larval_drop(a), "1")
        self.assertIn("stays 1: another program has 1 SAs and policies", "".join(a.status()["notes"]))
        answered = a.ping("10.0.0.2", 10, timeout=1, interval=0.5)
        self.assertTrue(4 <= answered <= 9, f"{answered} of 10: the first packet is lost, and what comes until there is an SA")
        a.daemon.stop()
        a.espalier("teardown")
        self.assertIn("192.0.2.2", a.ip("xfrm", "policy"))


if __name__ == "__main__":
    guest.need_kernel()
    unittest.main(verbosity=2)
