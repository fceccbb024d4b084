#!/usr/bin/env python3
"""Manual keys over the kernel's ESP: against Linux set up by hand with the sheet's own `ip xfrm` commands, tunnel and
transport; and a scheduled change of keys between two daemons under traffic."""
import datetime
import os
import time
import unittest

import guest
import lib
import nodes

BOX = "10.0.0.2"


def utc(moment):
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Manual(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = nodes.Mesh({"a": (["10.0.0.1/24"], ["10.1.0.0/16"]), "b": (["10.0.0.2/24"], ["10.2.0.0/16"])})
        for name, subnet, gateway in (("a", "10.2.0.0/16", "10.0.0.2"), ("b", "10.1.0.0/16", "10.0.0.1")):
            cls.mesh[name].ip("route", "replace", subnet, "via", gateway)

    @classmethod
    def tearDownClass(cls):
        cls.mesh.close()

    def tearDown(self):
        self.mesh.stop()
        for what in ("state", "policy"):
            self.mesh["b"].ip("xfrm", what, "flush")

    def espalier(self, *words):
        return lib.run([os.path.join(lib.BIN, "espalier"), *words]).stdout

    def keys(self, *words):
        return self.espalier("manual", "new", *words)

    # a has the daemon; b is Linux with what the sheet says.
    def by_hand(self, entry, pings, suite):
        a, b = self.mesh["a"], self.mesh["b"]
        a.write("mesh.yaml", "mesh: lab\nhosts:\n  a: {address: 10.0.0.1, subnets: [10.1.0.0/16]}\nmanual:\n"
                f"  a-box: {{address: {BOX}, suite: {suite}, spi: {{in: 0x1000, out: 8192}}, secret: \"file:box\", {entry}}}\n",
                0o644)
        a.write("private/box", self.keys("--suite", suite))
        sheet = self.espalier("--config", a.config, "manual", "sheet", "box", "--self", "a", "--ip")
        self.assertEqual(sheet.count("ip xfrm state add"), 2, sheet)
        clear = nodes.Listener(a, nodes.ECHOES)
        a.start()
        self.mesh.wait_up(1, [a])
        self.assertEqual([a.ping(there, 1, timeout=1) for there in pings], [0], "the other end has nothing yet")
        script = os.path.join(b.folder, "sheet.sh")
        with open(script, "w", encoding="utf-8") as file:
            file.write(sheet)
        b.run(["sh", "-e", script])
        esp = nodes.Listener(b, "esp")
        for there, here in pings.items():
            self.assertEqual(a.ping(there, 5, interval=0.05, source=here), 5, there)
            self.assertEqual(b.ping(here, 5, interval=0.05, source=there), 5, here)
        self.assertGreaterEqual(len(esp.stop()), 10 * len(pings), "that was not ESP")
        self.assertEqual(clear.stop(), [], "in the clear")
        status = a.status()
        child = status["pairs"][0]["children"][0]
        self.assertEqual((child["spi_in"], child["spi_out"], child["manual"]), ("00001000", "00002000", True), status)
        self.assertGreaterEqual(child["packets_in"], 10)
        self.assertIn("4096 (0x1000)", a.espalier("status", "box").stdout)
        self.assertNotEqual(a.espalier("rekey", "box", check=False).returncode, 0)
        for line in a.log().splitlines():
            self.assertNotRegex(line, "[0-9a-f]{32}", "a key in the log")
        return a, b

    def test_a_tunnel_by_hand(self):
        self.by_hand("subnets: [10.2.0.0/16], local_subnets: [10.1.0.0/16]", {"10.2.0.1": "10.1.0.1"}, "aes128-sha1")

    def test_transport_by_hand_and_a_restart_on_both_sides(self):
        a, b = self.by_hand("mode: transport", {BOX: "10.0.0.1"}, "aes256-sha256")
        # Numbers start again, and nobody has a window: it works at once.
        a.daemon.stop()
        self.assertEqual(a.ping(BOX, 1, timeout=1), 0, "closed while nobody is there")
        a.start()
        self.mesh.wait_up(1, [a])
        self.assertEqual(a.ping(BOX, 5, interval=0.05), 5)
        # Somebody deletes an SA: it comes back by itself.
        a.ip("xfrm", "state", "delete", "src", "10.0.0.1", "dst", BOX, "proto", "esp", "spi", "8192")
        lib.wait_for("the SA is back", lambda: len(a.states()) == 2, 40, 0.5)
        self.assertEqual(a.ping(BOX, 5, interval=0.05), 5)
        # A reload without a change touches nothing; teardown leaves nothing.
        before = a.ip("-s", "xfrm", "state").count("\n")
        a.espalier("reload")
        self.assertEqual(a.ip("-s", "xfrm", "state").count("\n"), before)
        a.daemon.stop()
        a.espalier("teardown")
        self.assertEqual((a.states(), a.policies()), ([], []))

    def test_keys_change_at_their_time_without_loss(self):
        mesh, a = self.mesh, self.mesh["a"]
        change = int(time.time()) + 12
        mesh.write(mesh.inventory("", "manual:\n  a-b:\n    overlap: 4s\n    keys:\n"
                   "      - {spi: {in: 300, out: 400}, secret: \"file:one\"}\n"
                   f"      - {{from: \"{utc(change)}\", spi: 500, secret: \"file:two\"}}\n"))
        for name in ("one", "two"):
            text = self.keys()
            for node in mesh.nodes.values():
                node.write(f"private/{name}", text)
        clear = nodes.Listener(a, nodes.ECHOES)
        mesh.start()
        mesh.wait_up(1)
        spis = lambda: sorted(int(s["spi"], 16) for s in a.states())  # noqa: E731
        self.assertEqual(spis(), [300, 400, 500], "what is to come is received with already")
        seconds = change + 7 - time.time()
        count = int(seconds / 0.05)
        self.assertEqual(a.ping("10.2.0.1", count, interval=0.05, source="10.1.0.1"), count, a.log()[-2000:])
        lib.wait_for("the old keys are gone", lambda: spis() == [500, 500], 15, 0.5)
        self.assertEqual(a.ping("10.2.0.1", 5, interval=0.05, source="10.1.0.1"), 5)
        self.assertEqual(clear.stop(), [], "in the clear")


if __name__ == "__main__":
    guest.need_kernel()
    unittest.main(verbosity=2)
