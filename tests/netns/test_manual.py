#!/usr/bin/env python3
"""Manual keys with the userspace plane at both ends: traffic, a restart, a change of keys, and what it refuses."""
import os
import unittest

import lib

HOSTS = {"bender": ["192.0.2.1/24"], "flexo": ["192.0.2.2/24"]}
INVENTORY = "mesh: m\nhosts:\n  bender: 192.0.2.1\n  flexo: 192.0.2.2\nmanual:\n  bender-flexo: {{{}}}\n"


def new_keys(*words):
    return lib.run([os.path.join(lib.BIN, "espalier"), "manual", "new", *words]).stdout


class ManualKeys(unittest.TestCase):
    def setUp(self):
        self.lab = lib.Lab(HOSTS)
        self.addCleanup(self.lab.close)
        self.bender, self.flexo = self.lab["bender"], self.lab["flexo"]

    def write(self, entry, keys):
        for host in self.lab.hosts.values():
            host.write("mesh.yaml", INVENTORY.format(entry), 0o644)
            host.write("private/keys", keys)

    def test_traffic_restart_and_new_keys(self):
        wire = lib.Wire(self.lab)
        self.write('encap: always, spi: 4096, secret: "file:keys"', new_keys())
        self.lab.start_all()
        self.lab.wait_up(20)
        pattern = "657370616c696572"
        self.assertEqual(self.bender.ping("192.0.2.2", 10, pattern=pattern), 10)
        child = self.bender.pair("flexo")["children"][0]
        self.assertEqual((child["spi_in"], child["manual"], child["udp_encap"]), ("00001000", True, True))
        self.assertGreaterEqual(child["packets_out"], 10)
        self.assertIsNone(self.bender.pair("flexo")["ike"])
        # There is no replay window: numbers that start again are taken.
        self.bender.daemon.stop()
        self.bender.start()
        self.lab.wait_up(20)
        self.assertEqual(self.bender.ping("192.0.2.2", 5, pattern=pattern), 5)
        self.assertEqual(self.bender.espalier("reload").returncode, 0)
        self.assertEqual(self.bender.ping("192.0.2.2", 5, pattern=pattern), 5)
        self.write('encap: always, spi: {in: 4097, out: 4098}, secret: "file:keys"', new_keys("--suite", "aes256-sha256"))
        for host in self.lab.hosts.values():
            self.assertIn("1 changed", host.espalier("reload").stdout)
        self.assertEqual(self.flexo.ping("192.0.2.1", 5, pattern=pattern), 5)
        self.assertEqual(self.flexo.pair("bender")["children"][0]["spi_in"], "00001002")
        needle = bytes.fromhex(pattern) * 3
        packets = wire.stop()
        self.assertFalse([str(p) for p in packets if needle in p.frame], "in the clear")
        self.assertNotEqual(self.bender.espalier("up", "flexo", check=False).returncode, 0)

    def test_other_keys_open_nothing(self):
        self.write('encap: always, spi: 4096, secret: "file:keys"', new_keys())
        self.flexo.write("private/keys", new_keys())
        self.lab.start_all()
        self.lab.wait_up(20)
        self.assertEqual(self.bender.ping("192.0.2.2", 3, timeout=1), 0)

    def test_bare_esp_is_refused_by_name(self):
        self.write('spi: 4096, secret: "file:keys"', new_keys())
        self.bender.start()
        self.assertEqual(self.bender.daemon.popen.wait(10), 65)
        self.assertIn("ESP without UDP is not supported yet", self.bender.daemon.log())


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
