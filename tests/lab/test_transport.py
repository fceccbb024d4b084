#!/usr/bin/env python3
"""Transport mode by the kernel's ESP: three hosts, both families, in UDP, and refused by the other dataplane."""
import re
import unittest

import guest
import nodes


class Transport(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = nodes.Mesh({"a": (["10.0.0.1/24", "2001:db8::1/64"], []), "b": (["10.0.0.2/24", "2001:db8::2/64"], []),
                               "c": (["10.0.0.3/24", "2001:db8::3/64"], ["10.3.0.0/16"])})

    @classmethod
    def tearDownClass(cls):
        cls.mesh.close()

    def tearDown(self):
        self.mesh.stop()

    def up(self, inventory):
        self.mesh.write(inventory)
        clear = nodes.Listener(self.mesh["a"], nodes.ECHOES)
        self.mesh.start()
        self.mesh.wait_up()
        return clear

    def modes(self, node):
        return {(state["src"], state["dst"]): state["mode"] for state in node.states()}

    # The hosts' IPv4 addresses in transport mode; their IPv6 ones and what is behind a host by a tunnel beside it.
    def test_three_hosts_and_a_network(self):
        mesh, a = self.mesh, self.mesh["a"]
        mesh["a"].ip("route", "replace", "10.3.0.0/16", "via", "10.0.0.3")
        clear = self.up(mesh.inventory("mode: transport"))
        esp = nodes.Listener(mesh["b"], "esp")
        for address in ("10.0.0.2", "10.0.0.3", "2001:db8::2", "2001:db8::3", "10.3.0.1"):
            self.assertEqual(a.ping(address, 10, interval=0.02), 10, address)
        for _ in range(3):
            a.espalier("rekey", "b")
        self.assertEqual(a.ping("10.0.0.2", 30, interval=0.02), 30, "after rekeys")
        modes = {state["mode"] for state in a.states() if state["dst"] == "10.0.0.2"}
        self.assertEqual(modes, {"transport", "tunnel"})
        ours = {p[4] for p in a.policies() if p[:3] == ("out", "10.0.0.1/32", "10.0.0.2/32")}
        self.assertEqual(ours, {"transport"}, "transport mode comes before the tunnel for the same packets")
        self.assertEqual(clear.stop(), [], "in the clear")
        self.assertGreaterEqual(len(esp.stop()), 50, "that was not ESP")
        # A ping of 56 octets in transport mode: 20 + 8 + 8 + 56 + 8 + 2 + 2 + 16; a tunnel has 20 more.
        sizes = nodes.Listener(a, "esp and dst 10.0.0.2 and ip[2:2] == 120")
        self.assertEqual(a.ping("10.0.0.2", 5, interval=0.02), 5)
        self.assertEqual(len(sizes.stop()), 5, a.run(["ip", "-s", "xfrm", "state"]).stdout)

    def test_ipv6_alone_and_in_udp(self):
        mesh, a = self.mesh, self.mesh["a"]
        text = mesh.inventory("mode: transport, encap: always")
        for number in (1, 2, 3):
            text = text.replace(f'"10.0.0.{number}", ', "")
        clear = self.up(text.replace(', subnets: ["10.3.0.0/16"]', ""))
        for address in ("2001:db8::2", "2001:db8::3"):
            self.assertEqual(a.ping(address, 10, interval=0.02), 10, address)
        self.assertEqual({(s["mode"], "espinudp" in s["text"]) for s in a.states()}, {("transport", True)})
        self.assertEqual(len(a.states()), 4, "two SAs a peer, nothing beside them")
        self.tcp(a, mesh["b"], "2001:db8::2")
        self.assertEqual(clear.stop(), [], "in the clear")

    def test_ipv4_in_udp(self):
        mesh, a = self.mesh, self.mesh["a"]
        text = mesh.inventory("mode: transport, encap: always").replace(', subnets: ["10.3.0.0/16"]', "")
        for number in (1, 2, 3):
            text = text.replace(f', "2001:db8::{number}"', "")
        clear = self.up(text)
        self.assertEqual(a.ping("10.0.0.2", 10, interval=0.02), 10)
        self.assertEqual({(s["mode"], "espinudp" in s["text"]) for s in a.states()}, {("transport", True)})
        self.tcp(a, mesh["b"], "10.0.0.2")
        self.assertEqual(clear.stop(), [], "in the clear")

    # Checksums behind ESP are a matter of TCP, not of ping.
    def tcp(self, client, server, address):
        listening = server.spawn(["python3", "-c", "import socket, sys\n"
                                  "s = socket.create_server(('', 7777), family=socket.AF_INET6, dualstack_ipv6=True)\n"
                                  "c, _ = s.accept()\nprint(sum(len(d) for d in iter(lambda: c.recv(65536), b'')))"],
                                 "tcp.log")
        guest.lib.wait_for("a listener", lambda: ":7777" in server.run(["ss", "-ltn"]).stdout, 10)
        client.run(["python3", "-c", "import socket, sys\ns = socket.create_connection((sys.argv[1], 7777), 10)\n"
                    "s.sendall(b'x' * 300000)", address])
        self.assertEqual(listening.wait(10), 0)
        self.assertTrue(listening.log().endswith("300000\n"), listening.log())

    # What a tunnel copies between the headers, and the mark of what goes out.
    def test_outer_headers_and_marks(self):
        mesh, a = self.mesh, self.mesh["a"]
        text = mesh.inventory("DEFAULTS", hosts="ab").replace(', "2001:db8::1"', "").replace(', "2001:db8::2"', "")
        for node in (a, mesh["b"]):
            node.run(["iptables-legacy", "-t", "mangle", "-A", "POSTROUTING", "-m", "mark", "--mark", "0x42/0xff", "-p", "esp"])
        for settings, tos, df, marked in (("dpd: 20s", "0xb8", True, False),
                                          ("copy_dscp: no, copy_df: off, set_mark_out: 0x42/0xff", "0x0", False, True)):
            mesh.write(text.replace("DEFAULTS", settings))
            mesh.start(nodes=[a, mesh["b"]])
            mesh.wait_up(1, [a, mesh["b"]])
            a.run(["iptables-legacy", "-t", "mangle", "-Z"])
            listener = nodes.Listener(a, "esp", flags=["-v"])
            said = a.run(guest.lib.ping_command("10.0.0.2", 3, 0.05, 2, "-Q", "0xb8", "-M", "do")).stdout
            self.assertEqual(guest.lib.answered(said, 3), 3)
            listener.process.stop()
            said = listener.process.log()
            self.assertEqual(said.count(f"tos {tos}"), 3, said)
            self.assertEqual("[DF]" in said, df, said)
            counted = re.search(r"^\s+(\d+)\s.*mark match 0x42/0xff", a.run(["iptables-legacy", "-t", "mangle", "-nvL",
                                                                          "POSTROUTING"]).stdout, re.M)
            self.assertEqual(int(counted[1]) > 0, marked, counted[0])
            mesh.stop()

    def test_the_userspace_dataplane_refuses_it_by_name(self):
        a = self.mesh["a"]
        self.mesh.write(self.mesh.inventory("mode: transport"), [a])
        a.start(dataplane="userspace")
        self.assertEqual(a.daemon.wait(10), 65)
        self.assertIn("'mode: transport' is not supported yet; the kernel dataplane has it", a.daemon.log())


if __name__ == "__main__":
    guest.need_kernel()
    unittest.main(verbosity=2)
