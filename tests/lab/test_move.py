#!/usr/bin/env python3
"""MOBIKE (RFC 4555) between our own, over a kernel's ESP and over the userspace dataplane: hosts come to have addresses that
no inventory names, one after the other, and the SAs go with them: nothing is keyed anew."""
import unittest

import guest
from guest import lib
from nodes import Node

HOSTS = {"bender": ("10.77.0.1", "10.1.0.0/24"), "flexo": ("10.77.0.2", "10.2.0.0/24"), "amy": ("10.77.0.3", "10.3.0.0/24")}
MESH = "mesh: roaming\ndefaults: {dpd: 5s}\nhosts:\n" + "".join(
    f"  {name}: {{address: {address}, subnets: [{subnet}]}}\n" for name, (address, subnet) in HOSTS.items())


class Move(unittest.TestCase):
    def setUp(self):
        self.lab = lib.Lab({"bender": ["10.77.0.1/24"]}, {"bender": ["10.1.0.0/24"]})
        self.addCleanup(self.lab.close)
        machine = guest.Guest(self.lab)
        self.addCleanup(machine.close)
        self.hosts = {"bender": self.lab["bender"],
                      **{name: Node(machine, name, [f"{HOSTS[name][0]}/24"], [HOSTS[name][1]]) for name in ("flexo", "amy")}}
        secret = lib.new_secret()
        for name, host in self.hosts.items():
            self.routes(name)
            host.write("private/mesh.secret", secret + "\n")
            host.write("mesh.yaml", MESH, 0o644)
            host.start()

    def logs(self):
        return "".join(f"\n--- {name}\n{host.daemon.log()[-4000:]}" for name, host in self.hosts.items())

    def passes(self, count=1, timeout=1):
        inner = {name: lib.first_address(subnet) for name, (_, subnet) in HOSTS.items()}
        return all(self.hosts[name].ping(inner[peer], count, timeout=timeout, source=inner[name], interval=0.05) == count
                   for name in HOSTS for peer in HOSTS if peer != name)

    def wait(self, what, condition, timeout=40):
        try:
            lib.wait_for(what, condition, timeout)
        except lib.LabError as error:
            raise AssertionError(f"{error}{self.logs()}") from None

    def spis(self):
        """Of every pair, from bender's and flexo's side: IKE SA and children."""
        found = {}
        for name in ("bender", "flexo"):
            for pair in self.hosts[name].status()["pairs"]:
                found[name, pair["peer"]] = (pair["ike"]["spi_local"], sorted(c["spi_in"] for c in pair["children"]))
        return found

    def move(self, name, to):
        host, last = self.hosts[name], HOSTS[name][0].rsplit(".", 1)[1]
        host.ip("addr", "flush", "dev", "eth0", "scope", "global")
        host.ip("addr", "add", f"10.77.{to}.{last}/24", "dev", "eth0")
        self.routes(name)

    def routes(self, name):
        """The others are on this wire, wherever they are. In the kernel a policy needs a route to apply to."""
        host = self.hosts[name]
        host.ip("route", "replace", "10.77.0.0/16", "dev", "eth0")
        if name == "bender":
            return
        for other, (_, subnet) in HOSTS.items():
            if other != name:
                host.ip("route", "replace", subnet, "dev", "eth0", "src", lib.first_address(HOSTS[name][1]))

    def test_hosts_move_and_keep_their_sas(self):
        self.wait("all packets pass", self.passes)
        before = self.spis()
        for number, name in enumerate(("flexo", "bender", "amy", "flexo"), start=5):
            self.move(name, to=number)
            self.wait(f"all packets pass after {name} moved", self.passes)
            self.assertTrue(self.passes(5, 2), self.logs())
            self.assertEqual(self.spis(), before, name + self.logs())


if __name__ == "__main__":
    lib.need_root()
    guest.need_kernel()
    unittest.main(verbosity=2)
