#!/usr/bin/env python3
"""A host is added and removed by reload; the other pairs are not touched, not even their SPIs."""
import signal
import unittest

import lib

FOUR = {**lib.THREE, "hermes": ["10.77.0.4/24", "fd77::4/64"]}


class Reload(unittest.TestCase):
    def test_add_and_remove(self):
        lab = lib.Lab(FOUR)
        self.addCleanup(lab.close)
        three = ["bender", "flexo", "amy"]
        lab.write_all(lib.inventory("reload", lib.THREE), lib.new_secret())
        for name in three:
            lab[name].start()
        lab.wait_up(30, expect=2, hosts=three)
        before = {n: lab[n].spis(p) for n, p in (("bender", "flexo"), ("flexo", "amy"), ("amy", "bender"))}
        generation = lab["bender"].status()["generation"]
        pinging = lab["bender"].spawn(lib.ping_command("10.77.0.2", 100, 0.05, lib.FLOW), "ping.log")

        for host in lab.hosts.values():
            host.write("mesh.yaml", lib.inventory("reload", FOUR), 0o644)
        lab["bender"].espalier("reload")
        lab["flexo"].daemon.popen.send_signal(signal.SIGHUP)
        lab["amy"].espalier("reload")
        lab["hermes"].start()
        lab.wait_up(30, expect=3)
        self.assertEqual(lab["hermes"].ping("10.77.0.1", 3), 3)
        self.assertGreater(lab["bender"].status()["generation"], generation)

        # A file that is wrong in one place changes nothing.
        lab["bender"].write("mesh.yaml", lib.inventory("reload", lib.THREE) + "nonsense: yes\n", 0o644)
        refused = lab["bender"].espalier("reload", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("nonsense", refused.stdout)
        self.assertEqual(lab["bender"].pairs_up(), 3)

        for name in three:
            lab[name].write("mesh.yaml", lib.inventory("reload", lib.THREE), 0o644)
            lab[name].espalier("reload")
        lib.wait_for("hermes is forgotten", lambda: lab["bender"].pair("hermes") is None, 10)
        self.assertNotIn("10.77.0.4", lab["bender"].ip("route", "show", "table", "58624"))
        self.assertNotIn("10.77.0.4", lab["bender"].run(["nft", "list", "table", "inet", "espalier"]).stdout)
        pinging.popen.wait(90)
        self.assertEqual(lib.answered(pinging.log(), 100), 100, "the pair that stays loses nothing")
        for (name, peer) in (("bender", "flexo"), ("flexo", "amy"), ("amy", "bender")):
            self.assertEqual(lab[name].spis(peer), before[name], f"{name}-{peer} was touched")


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
