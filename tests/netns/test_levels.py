#!/usr/bin/env python3
"""`protect: off | use | require` with the userspace plane, changed by reload under a running flow, with the wire watched."""
import unittest

import lib

HOSTS = {n: lib.THREE[n] for n in ("bender", "flexo")}
OWN = ("10.77.0.1", "10.77.0.2", "fd77::1", "fd77::2")


class Levels(unittest.TestCase):
    def setUp(self):
        self.lab = lib.Lab(HOSTS)
        self.addCleanup(self.lab.close)
        self.base = lib.inventory("levels", HOSTS)
        self.secret = lib.new_secret()
        self.bender, self.flexo = self.lab["bender"], self.lab["flexo"]

    def level(self, word, *hosts):
        for host in hosts or (self.bender, self.flexo):
            host.write("mesh.yaml", self.base + f"defaults: {{protect: {word}}}\n", 0o644)
            host.write("private/mesh.secret", self.secret + "\n")
            if host.daemon and host.daemon.alive():
                host.espalier("reload")

    def pings_in_the_clear(self, wire):
        return [str(p) for p in wire.stop() if p.is_ip() and p.src in OWN and p.protocol in (1, 58)
                and not p.is_link_upkeep() and not p.is_refusal_of_ipsec()]

    def test_use_falls_back_and_require_never(self):
        self.level("use")
        self.bender.start()
        lib.wait_for("bender answers", self.bender.status, 15)
        for address in ("10.77.0.2", "fd77::2"):
            self.assertEqual(self.bender.ping(address, 3), 3, "use: in the clear while the peer has no daemon")
        self.assertEqual(self.flexo.ping("10.77.0.1", 3), 3)
        self.flexo.start()
        self.lab.wait_up(30)
        wire, spis = lib.Wire(self.lab), self.bender.spis("flexo")
        flow = self.bender.spawn(lib.ping_command("10.77.0.2", 120, 0.05, lib.FLOW), "ping.log")
        for word in ("require", "use", "require", "use", "require"):
            self.level(word, self.bender)
            self.level(word, self.flexo)
        self.assertEqual(self.bender.ping("fd77::2", 3), 3)
        flow.popen.wait(90)
        self.assertEqual(lib.answered(flow.log(), 120), 120, "no packet was lost")
        self.assertEqual(self.bender.spis("flexo"), spis, "no SA was touched")
        self.flexo.daemon.stop()
        self.assertEqual(self.bender.ping("10.77.0.2", 2, timeout=1), 0, "require: closed")
        self.assertEqual(self.pings_in_the_clear(wire), [])
        self.flexo.espalier("teardown")
        self.level("use", self.bender)
        self.assertEqual(self.bender.ping("10.77.0.2", 3), 3, "use: in the clear without the peer")
        wire = lib.Wire(self.lab)
        self.level("require", self.bender)
        self.assertEqual(self.bender.ping("10.77.0.2", 2, timeout=1), 0, "require: closed at once")
        self.assertEqual(self.pings_in_the_clear(wire), [])
        self.level("off", self.bender)
        self.assertEqual(self.bender.ping("10.77.0.2", 3), 3, "off: in the clear")
        self.assertIsNone(self.bender.pair("flexo"))

    def test_use_comes_and_goes_with_the_sa(self):
        self.level("use")
        self.lab.start_all()
        self.lab.wait_up(30)
        wire = lib.Wire(self.lab)
        self.assertEqual(self.bender.ping("10.77.0.2", 5), 5)
        self.assertEqual(self.pings_in_the_clear(wire), [], "protected while there is an SA")
        self.bender.espalier("down", "flexo")
        self.assertEqual(self.bender.ping("10.77.0.2", 3), 3, "in the clear while it is down")
        self.bender.espalier("up", "flexo")
        wire = lib.Wire(self.lab)
        self.assertEqual(self.bender.ping("10.77.0.2", 5), 5)
        self.assertEqual(self.pings_in_the_clear(wire), [])


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
