#!/usr/bin/env python3
"""Five hosts on an IPv6-only underlay, subnets (both families) behind two of them."""
import unittest

import lib

FIVE = {name: [f"2001:db8:77::{i}/64"] for i, name in enumerate(("kif", "zapp", "nibbler", "scruffy", "lrrr"), 1)}
SUBNETS = {"kif": ["10.21.0.0/24", "fd21::/64"], "lrrr": ["10.25.0.0/24"]}


class FiveHostsIpv6(unittest.TestCase):
    def test_all_pairs(self):
        lab = lib.Lab(FIVE, SUBNETS)
        self.addCleanup(lab.close)
        lab.write_all(lib.inventory("five", FIVE, SUBNETS), lib.new_secret())
        wire = lib.Wire(lab)
        lab.start_all()
        print(f"up after {lab.wait_up(40):.1f} s")
        for here in lab.hosts.values():
            for there in lab.hosts.values():
                if here is not there:
                    self.assertEqual(here.ping(there.addresses[0].split("/")[0], 2), 2, f"{here.name} to {there.name}")
        # IPv4 inside IPv6, between the subnets.
        self.assertEqual(lab["kif"].ping("10.25.0.1", 3, source="10.21.0.1"), 3)
        self.assertEqual(lab["lrrr"].ping("10.21.0.1", 3, source="10.25.0.1"), 3)
        self.assertEqual(lab["zapp"].ping("fd21::1", 3), 3)
        protected = [a for h in lab.hosts.values() for a in h.addresses + h.subnet_addresses()]
        self.assertEqual([str(p) for p in lib.leaks(wire.stop(), protected)][:5], [])


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
