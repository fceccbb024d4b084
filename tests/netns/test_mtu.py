#!/usr/bin/env python3
"""`espalier mtu PEER` on a path with a narrow place behind a router, with the userspace plane."""
import json
import unittest

import lib

HOSTS = {"bender": ["10.1.0.1/24"], "flexo": ["10.2.0.1/24"]}
NARROW = 1300


class PathMtu(unittest.TestCase):
    def setUp(self):
        self.lab = lib.Lab(HOSTS)
        self.addCleanup(self.lab.close)
        lib.run(["nsenter", f"--net=/run/netns/{self.lab.net}", "--", "sysctl", "-qw", "net.ipv4.ip_forward=1",
                 "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.br0.send_redirects=0"])
        for address in ("10.1.0.254/24", "10.2.0.254/24"):
            self.lab.bridge("addr", "add", address, "dev", "br0")
        for name, gateway in (("bender", "10.1.0.254"), ("flexo", "10.2.0.254")):
            self.lab[name].ip("route", "add", "default", "via", gateway)
        self.lab.write_all("mesh: m\nhosts:\n  bender: 10.1.0.1\n  flexo: 10.2.0.1\n", lib.new_secret())
        self.lab.start_all()
        self.lab.wait_up(30)

    def mtu(self, *words):
        return json.loads(self.lab["bender"].espalier("mtu", "flexo", "--json", *words).stdout)

    def test_the_router_is_heard_and_the_tunnel_tried(self):
        wide = self.mtu()
        self.assertEqual((wide["path_mtu"], wide["path_known"]), (1500, True), wide)
        self.assertEqual(wide["packets"][0]["largest_inner"], 1438, wide)
        tunnel = self.lab["bender"].ip("link", "show", "espalier0").split("mtu ")[1].split()[0]
        self.assertEqual(wide["through"]["passed"], int(tunnel), wide)
        self.lab.bridge("route", "replace", "10.2.0.0/24", "dev", "br0", "src", "10.2.0.254", "mtu", "lock", str(NARROW))
        narrow = self.mtu()
        self.assertEqual((narrow["path_mtu"], narrow["path_known"]), (NARROW, True), narrow)
        self.assertEqual(narrow["packets"][0]["largest_inner"], 1238, narrow)
        self.assertIsNotNone(narrow["through"], narrow)
        self.assertLess(narrow["outside"]["probes"], 13)
        # The pair is none the worse for being probed.
        self.assertEqual(self.lab["bender"].pair("flexo")["state"], "up")
        text = self.lab["bender"].espalier("mtu", "flexo").stdout
        self.assertIn("Outside the tunnel", text)


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
