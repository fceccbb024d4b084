#!/usr/bin/env python3
"""A daemon over the kernel's plane that is killed, stopped or upgraded interrupts nothing: the kernel goes on with the SAs,
the sockets stay open with a process of their own, and the next daemon goes on with the IKE SAs of its journal."""
import os
import signal
import time
import unittest

import guest
import nodes
from nodes import lib

PEER = {"a": "b", "b": "a"}
ADDRESS = {"a": "10.0.0.1", "b": "10.0.0.2"}


class Restart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = nodes.Mesh({"a": (["10.0.0.1/24", "2001:db8::1/64"], []), "b": (["10.0.0.2/24", "2001:db8::2/64"], [])},
                               timeout=280)

    @classmethod
    def tearDownClass(cls):
        cls.mesh.close()

    def tearDown(self):
        self.mesh.stop()

    def begin(self, defaults=""):
        self.mesh.write(self.mesh.inventory(defaults))
        self.mesh.start()
        self.mesh.wait_up()

    def logs(self):
        return "".join(f"\n--- {n.name}\n{n.log()[-4000:]}" for n in self.mesh.nodes.values())

    def spis(self):
        """Of both ends: the IKE SA and the children."""
        found = {}
        for name, node in self.mesh.nodes.items():
            (pair,) = node.status()["pairs"]
            found[name] = (pair["ike"]["spi_local"], pair["ike"]["spi_remote"], sorted(c["spi_in"] for c in pair["children"]))
        return found

    def flow(self, seconds):
        """Pings from a to b a hundred times a second."""
        flow = self.mesh["a"].spawn(lib.ping_command("10.0.0.2", seconds * 100, 0.01, lib.FLOW),
                                    f"flow.{len(os.listdir(self.mesh['a'].folder))}.log")
        flow.count = seconds * 100
        return flow

    def lost(self, flow):
        lib.wait_for("the flow's end", lambda: not flow.alive(), 90)
        return flow.count - lib.answered(flow.log(), flow.count)

    def interrupt(self, how, away=0.7):
        """Each daemon in turn, and then both at once, away for a while under the flow."""
        flow = self.flow(11)
        for names in ("a", "b", "ab"):
            for name in names:
                self.mesh[name].daemon.stop(how)
            time.sleep(away)
            for name in names:
                self.mesh[name].start()
            self.mesh.wait_up(timeout=10)
        return self.lost(flow)

    def check(self, how):
        before = self.spis()
        self.assertEqual(self.interrupt(how), 0, self.logs())
        self.assertEqual(self.spis(), before, "something was keyed anew" + self.logs())
        for name in "ab":
            self.assertIn("1 IKE SAs of the daemon before go on", self.mesh[name].log())
        # And they are alive: both kinds of rekey, begun by either end.
        for name in "ab":
            self.mesh[name].espalier("rekey", PEER[name])
            self.mesh[name].espalier("rekey", PEER[name], "--ike", check=False)
        flow = self.flow(3)
        self.assertEqual(self.lost(flow), 0, self.logs())
        self.assertNotEqual(self.spis()["a"][2], before["a"][2])
        self.mesh.wait_up()

    def test_killed(self):
        self.begin()
        self.check(signal.SIGKILL)

    def test_stopped(self):
        self.begin()
        self.check(signal.SIGTERM)

    # The kernel takes ESP out of UDP only while the socket is open.
    def test_killed_with_esp_in_udp(self):
        self.begin("encap: always")
        self.assertIn("espinudp", self.mesh["a"].ip("xfrm", "state"))
        self.check(signal.SIGKILL)

    def test_what_went_meanwhile_is_keyed_anew(self):
        self.begin()
        a = self.mesh["a"]
        before = self.spis()
        a.daemon.stop(signal.SIGKILL)
        (out,) = [s for s in a.states() if s["dst"] == "10.0.0.2"][:1]
        a.ip("xfrm", "state", "delete", "src", out["src"], "dst", out["dst"], "proto", "esp", "spi", out["spi"])
        a.start()
        self.mesh.wait_up(timeout=10)
        lib.wait_for("another SA", lambda: a.ping("10.0.0.2", 1, timeout=1) == 1, 10)
        after = self.spis()
        self.assertEqual(after["a"][:2], before["a"][:2], "the IKE SA goes on" + self.logs())
        self.assertNotEqual(after["a"][2], before["a"][2])

    def test_a_changed_pair_begins_anew(self):
        self.begin()
        before = self.spis()
        self.mesh["a"].daemon.stop(signal.SIGKILL)
        self.mesh.write(self.mesh.inventory("encap: always"), [self.mesh["a"]])
        self.mesh["a"].start()
        self.mesh.wait_up(timeout=20)
        lib.wait_for("traffic", lambda: self.mesh["a"].ping("10.0.0.2", 1, timeout=1) == 1, 10)
        self.assertNotEqual(self.spis()["a"][0], before["a"][0])

    def test_teardown_takes_all_of_it_down(self):
        self.begin()
        a = self.mesh["a"]
        a.daemon.stop()
        listing = a.run(["ls", "-l", f"{a.inner}/run"]).stdout
        self.assertRegex(listing, r"-rw------- .* journal\n")
        self.assertIn("sockets", listing)
        self.assertNotEqual(a.states(), [])
        self.assertEqual(a.ping("10.0.0.2", 3, interval=0.05), 3, "stopped is not down")
        held = a.run(["ss", "-Hlun", "sport = :4500"]).stdout
        self.assertIn(":4500", held)
        a.espalier("teardown")
        self.assertEqual((a.states(), a.policies()), ([], []))
        listing = a.run(["ls", f"{a.inner}/run"]).stdout
        self.assertNotIn("journal", listing)
        self.assertNotIn("sockets", listing)
        self.assertEqual(a.run(["ss", "-Hlun", "sport = :4500"]).stdout, "")
        a.start()
        self.mesh.wait_up(timeout=20)

    # A start without an inventory, or with a lost one, opens nothing of what the daemon before closed.
    def test_without_an_inventory_nothing_opens(self):
        self.begin()
        a = self.mesh["a"]
        a.daemon.stop(signal.SIGKILL)
        os.rename(f"{a.config}/mesh.yaml", f"{a.config}/mesh.lost")
        clear = nodes.Listener(a, nodes.ECHOES)
        a.start()
        lib.wait_for("a daemon", a.status, 15)
        # Somebody's entry in our ranges has the kernel compared at once.
        a.ip("xfrm", "state", "add", "src", "10.0.0.1", "dst", "10.0.0.2", "proto", "esp", "spi", "0x777", "reqid",
             str(0xE5000777), "mode", "tunnel", "aead", "rfc4106(gcm(aes))", "0x" + "5a" * 20, "128")
        time.sleep(1)
        self.assertEqual(a.ping("10.0.0.2", 3, timeout=1), 0)
        self.assertEqual(clear.stop(), [], "in the clear" + self.logs())
        self.assertNotEqual(a.policies(), [])
        os.rename(f"{a.config}/mesh.lost", f"{a.config}/mesh.yaml")
        a.espalier("reload")
        self.mesh.wait_up(timeout=60)
        self.assertEqual(a.ping("10.0.0.2", 3, timeout=2), 3)

    # Nothing of the daemon's memory, nor its rights, are with who keeps the sockets.
    def test_the_holder_can_do_nothing(self):
        self.begin()
        a = self.mesh["a"]
        holders = a.run(["pgrep", "-f", "espalierd --hold-sockets"]).stdout.split()
        self.assertGreaterEqual(len(holders), 1)
        for pid in holders:
            status = a.run(["cat", f"/proc/{pid}/status"]).stdout
            self.assertRegex(status, r"CapPrm:\s+0+\n")
            self.assertRegex(status, r"CapEff:\s+0+\n")
            self.assertRegex(status, r"NoNewPrivs:\s+1\n")


if __name__ == "__main__":
    lib.need_root()
    guest.need_kernel()
    unittest.main(verbosity=2)
