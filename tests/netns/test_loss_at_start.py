#!/usr/bin/env python3
"""One packet in five is lost on the bridge while the mesh starts: it comes up all the same."""
import unittest

import lib

RULES = """
table bridge loss {
  counter lost { }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ether type { ip, ip6 } numgen random mod 100 < 20 counter name lost drop
  }
}
"""


class LossAtStart(unittest.TestCase):
    def test_twenty_percent(self):
        lab = lib.Lab(lib.THREE)
        self.addCleanup(lab.close)
        loaded = lib.run(["nsenter", f"--net=/run/netns/{lab.net}", "--", "nft", "-f", "-"], check=False, text_input=RULES)
        if loaded.returncode != 0:
            lib.skip(f"this kernel has no nftables for bridges: {loaded.stdout}")
        lab.write_all(lib.inventory("loss", lib.THREE), lib.new_secret())
        lab.start_all()
        seconds = lab.wait_up(120)
        lost = lib.run(["ip", "netns", "exec", lab.net, "nft", "list", "counter", "bridge", "loss", "lost"]).stdout
        print(f"up after {seconds:.1f} s; {lost.split('packets')[1].split()[0]} packets lost")
        self.assertNotIn("packets 0 ", lost)
        lib.run(["ip", "netns", "exec", lab.net, "nft", "delete", "table", "bridge", "loss"])
        for here in lab.hosts.values():
            self.assertEqual(here.pairs_up(), 2)
            for there in lab.hosts.values():
                if here is not there:
                    self.assertEqual(here.ping(there.addresses[0].split("/")[0], 3), 3)
        # Lost, repeated and late messages end in one IKE SA and one child on each side.
        for one, other in (("bender", "flexo"), ("bender", "amy"), ("flexo", "amy")):
            here, there = lab[one].spis(other), lab[other].spis(one)
            self.assertEqual(here[0:2], there[1::-1])
            self.assertEqual(len(here[2]), 1)
            self.assertEqual(here[2], [(o, i) for i, o in there[2]])


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
