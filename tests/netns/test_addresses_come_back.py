#!/usr/bin/env python3
"""A host loses its addresses (a cable, a DHCP client, ifdown) and gets them back: the pair carries traffic
again by itself, over both families, and from the addresses that the tunnel takes."""
import unittest

import lib

HOSTS = {name: lib.THREE[name] for name in ("bender", "flexo")}


class AddressesComeBack(unittest.TestCase):
    def test_both_families(self):
        lab = lib.Lab(HOSTS)
        self.addCleanup(lab.close)
        bender = lab["bender"]
        lab.write_all(lib.inventory("cable", HOSTS), lib.new_secret())
        lab.start_all()
        lab.wait_up(30)
        bender.ip("addr", "flush", "dev", "eth0", "scope", "global")
        self.assertEqual(bender.ping("10.77.0.2", 1, timeout=1), 0)
        # Another address of the network comes first, which the kernel would now choose as the source.
        bender.ip("addr", "add", "fd77::99/64", "dev", "eth0", "nodad")
        for address in HOSTS["bender"]:
            bender.ip("addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
        lib.wait_for("the route has its source again",
                     lambda: "src fd77::1" in bender.ip("-6", "route", "show", "table", "all", "dev", "espalier0"), 10)
        self.assertEqual(bender.ping("10.77.0.2", 3), 3)
        self.assertEqual(bender.ping("fd77::2", 3), 3)


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
