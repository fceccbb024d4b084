#!/usr/bin/env python3
"""Three of our own daemons, one over the userspace dataplane and two over a kernel's ESP, every pair rekeying its child
every second and its IKE SA every three, from both ends, under traffic in every direction: not one packet is lost.

It lasts 20 s; two minutes where ESPALIER_LONG is set (./run test --long)."""
import os
import re
import unittest

import guest
from guest import lib
from nodes import Node

SECONDS = 120 if os.environ.get("ESPALIER_LONG") else 20
RATE = 100  # pings a second in each direction of each pair
HOSTS = {"bender": "10.77.0.1", "flexo": "10.77.0.2", "amy": "10.77.0.3"}
MESH = "mesh: storm\ndefaults:\n  lifetimes: {ike: 3s, child: 1s, jitter: 30%}\nhosts:\n" + "".join(
    f"  {name}: {{address: {address}}}\n" for name, address in HOSTS.items())


class Storm(unittest.TestCase):
    def setUp(self):
        self.lab = lib.Lab({"bender": [f"{HOSTS['bender']}/24"]})
        self.addCleanup(self.lab.close)
        machine = guest.Guest(self.lab)
        self.addCleanup(machine.close)
        secret = lib.new_secret()
        self.bender = self.lab["bender"]
        self.hosts = {"bender": self.bender, **{name: Node(machine, name, [f"{HOSTS[name]}/24"]) for name in ("flexo", "amy")}}
        for host in self.hosts.values():
            host.write("private/mesh.secret", secret + "\n")
            host.write("mesh.yaml", MESH, 0o644)
            host.start()

    def logs(self):
        return "".join(f"\n--- {name}\n{host.daemon.log()[-4000:]}" for name, host in self.hosts.items())

    def test_no_packet_is_lost(self):
        def passes(name):
            peers = [address for peer, address in HOSTS.items() if peer != name]
            return all(self.hosts[name].ping(address, 1, timeout=1) for address in peers)

        try:
            for name in HOSTS:
                lib.wait_for(f"{name}'s packets pass", lambda name=name: passes(name), 30)
        except lib.LabError as error:
            raise AssertionError(f"{error}{self.logs()}") from None
        pings = {(name, peer): host.spawn(lib.ping_command(HOSTS[peer], SECONDS * RATE, 1 / RATE, lib.FLOW), f"to-{peer}.log")
                 for name, host in self.hosts.items() for peer in HOSTS if peer != name}
        for ping in pings.values():
            (ping.popen.wait if hasattr(ping, "popen") else ping.wait)(SECONDS * 4 + 90)
        rekeys = {name: len(re.findall(r"child SA net rekeyed: ", host.daemon.log())) for name, host in self.hosts.items()}
        again = {name: len(re.findall(r" rekeyed to ", host.daemon.log())) for name, host in self.hosts.items()}
        print(f"{SECONDS} s: children rekeyed {rekeys}, IKE SAs {again}", flush=True)
        for (name, peer), ping in pings.items():
            self.assertEqual(lib.answered(ping.log(), SECONDS * RATE), SECONDS * RATE, f"{name} to {peer}{self.logs()}")
        for name in HOSTS:
            # Two pairs, each about once a second by one end or the other.
            self.assertGreater(rekeys[name], SECONDS / 3, name + self.logs())
            self.assertGreater(again[name], SECONDS / 10, name + self.logs())


if __name__ == "__main__":
    lib.need_root()
    guest.need_kernel()
    unittest.main(verbosity=2)
