#!/usr/bin/env python3
"""MOBIKE (RFC 4555) with strongSwan: either end changes its address under ping, either end has started."""
import unittest

import strongswan
import test_strongswan
from strongswan import lib

IKE, ESP = "aes256gcm16-prfsha384-x25519", "aes256gcm16"


class Mobike(test_strongswan.Bed):
    def move(self, host, old, new, peer):
        host.ip("addr", "add", f"{new}/24", "dev", "eth0")
        host.ip("addr", "del", f"{old}/24", "dev", "eth0")
        host.ip("route", "replace", f"{peer}/32", "dev", "eth0", "src", new)

    def follows(self, initiator, mover):
        self.bring_up(initiator, IKE, ESP, local="%any", more="mobike = yes")
        self.assert_agreement()
        before = self.swan.sas()
        bender, swan = self.bender, self.lab["swan"]
        for host in (bender, swan):
            host.ip("route", "add", "10.77.5.0/24", "dev", "eth0")
        if mover == "bender":
            self.move(bender, "10.77.0.1", "10.77.5.1", "10.77.0.9")
            outer = ("10.77.5.1", "10.77.0.9")
        else:
            self.move(swan, "10.77.0.9", "10.77.5.9", "10.77.0.1")
            outer = ("10.77.0.1", "10.77.5.9")

        def moved():
            text = self.swan.command("list-sas").stdout
            return all(f"@ {address}[4500]" in text for address in outer)

        try:
            lib.wait_for("both ends at the new addresses", moved, 30)
            lib.wait_for("traffic", lambda: bender.ping("10.9.0.1", 1, timeout=1, source="10.1.0.1"), 20)
            self.assert_agreement()
        except lib.LabError as error:
            raise AssertionError(f"{error}\n{self.swan.command('list-sas').stdout}\n--- espalierd\n"
                                 f"{self.bender.daemon.log()[-3000:]}\n--- charon\n{self.swan.log()[-6000:]}") from None
        self.assertEqual(bender.ping("10.9.0.1", 5, source="10.1.0.1"), 5)
        self.assertEqual(swan.ping("10.1.0.1", 5, source="10.9.0.1"), 5)
        # The same IKE SA. (kernel-libipsec cannot move an SA: charon rekeys the child instead.)
        self.assertEqual(self.swan.sas()[0], before[0])

    def test_espalier_started_and_moves(self):
        self.follows("bender", "bender")

    def test_espalier_started_and_strongswan_moves(self):
        self.follows("bender", "swan")

    def test_strongswan_started_and_espalier_moves(self):
        self.follows("swan", "bender")

    def test_strongswan_started_and_moves(self):
        self.follows("swan", "swan")


if __name__ == "__main__":
    lib.need_root()
    strongswan.need_strongswan()
    unittest.main(verbosity=2)
