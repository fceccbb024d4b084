#!/usr/bin/env python3
"""strongSwan as the peer of the kernel's dataplane, both by kernel ESP: tunnel and transport mode, IPv4 and IPv6, each end
as initiator, rekeys from each; and strongSwan behind a NAT, in transport mode."""
import unittest

import guest
import nodes
import swan
from nodes import lib


class Kernels(swan.SwanCase):
    def both_roles(self, mode, ours, theirs):
        self.begin(mode, ours, theirs)
        clear = nodes.Listener(self.bender, nodes.ECHOES)
        self.swan.initiate()
        self.carries(mode, theirs)
        before = self.swan.sas()
        self.swan.rekey()
        lib.wait_for("their rekey", lambda: self.swan.sas()[1] not in (before[1], []), 10)
        self.carries(mode, theirs)
        before = self.swan.sas()
        self.bender.espalier("rekey", "swan")
        lib.wait_for("our rekey", lambda: self.swan.sas()[1] not in (before[1], []), 10)
        self.carries(mode, theirs)
        self.swan.terminate()
        lib.wait_for("no SA", lambda: not self.bender.states(), 10)
        self.bender.espalier("up", "swan")
        self.carries(mode, theirs)
        self.swan.rekey(ike=True)
        self.carries(mode, theirs)
        self.assertEqual(clear.stop(), [], "in the clear")

    def test_tunnel_ipv4(self):
        self.both_roles("tunnel", "10.0.0.1", "10.0.0.9")

    def test_tunnel_ipv6(self):
        self.both_roles("tunnel", "2001:db8::1", "2001:db8::9")

    def test_transport_ipv4(self):
        self.both_roles("transport", "10.0.0.1", "10.0.0.9")

    def test_transport_ipv6(self):
        self.both_roles("transport", "2001:db8::1", "2001:db8::9")

    # RFC 7296 section 2.23.1: the selectors carry addresses that the NAT hid, and ESP goes in UDP.
    def test_transport_through_nat(self):
        box = guest.GuestHost(self.mesh.guest, "box", ["10.0.0.8/24"])
        self.mesh.guest.check("ip", "link", "add", "i0", "netns", "box", "type", "veth", "peer", "name", "i0", "netns", "swan")
        for host, address in ((box, "192.168.7.1/24"), (self.host, "192.168.7.2/24")):
            host.ip("addr", "add", address, "dev", "i0")
            host.ip("link", "set", "i0", "up")
        self.host.ip("route", "add", "10.0.0.1/32", "via", "192.168.7.1", "src", "192.168.7.2")
        box.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        box.run(["iptables-legacy", "-t", "nat", "-A", "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE"])
        self.begin("transport", "10.0.0.1", "10.0.0.8", local="192.168.7.2")
        self.swan.initiate()
        self.carries("transport", "10.0.0.8")
        self.assertTrue(all("espinudp" in state["text"] for state in self.bender.states()))
        listening = self.bender.spawn(["python3", "-c", "import socket\ns = socket.create_server(('', 7777))\n"
                                       "c, _ = s.accept()\nprint(sum(len(d) for d in iter(lambda: c.recv(65536), b'')))"],
                                      "tcp.log")
        lib.wait_for("a listener", lambda: ":7777" in self.bender.run(["ss", "-ltn"]).stdout, 10)
        self.host.run(["python3", "-c", "import socket\ns = socket.create_connection(('10.0.0.1', 7777), 10)\n"
                       "s.sendall(b'x' * 100000)"])
        self.assertEqual(listening.wait(10), 0)
        self.assertEqual(listening.log(), "100000\n")
        self.host.ip("link", "del", "i0")


if __name__ == "__main__":
    guest.need_kernel()
    swan.strongswan.need_strongswan()
    unittest.main(verbosity=2)
