#!/usr/bin/env python3
"""Exceptions and levels of protection by the kernel's policies, in a kernel that has ESP: the wire watched, ssh and icmp
outside, a dropped port counted by the kernel, levels changed under a running flow."""
import json
import os
import re
import unittest

import guest
import nodes

ECHO = """
import socket, sys, threading
def serve(port):
    listening = socket.create_server(('', port), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        client, _ = listening.accept()
        client.sendall(client.recv(2000))
        client.close()
for port in map(int, sys.argv[1:]):
    threading.Thread(target=serve, args=(port,)).start()
datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
datagrams.bind(('::', int(sys.argv[1])))
while True:
    datagrams.sendto(*datagrams.recvfrom(100))
"""
ASK_UDP = """
import socket, sys
for address in sys.argv[1:]:
    asking = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)
    asking.settimeout(2)
    asking.sendto(b'a', (address, 22))
    try:
        print(address, asking.recv(9) == b'a')
    except OSError:
        print(address, False)
"""
ASK = """
import socket, sys
for target in sys.argv[1:]:
    address, port = target.rsplit('/', 1)
    try:
        with socket.create_connection((address, int(port)), 1) as asking:
            asking.settimeout(1)
            asking.sendall(b'cleartext-cleartext')
            print(target, asking.recv(2000) == b'cleartext-cleartext')
    except OSError as error:
        print(target, False)
"""
ADDRESSES = ("10.0.0.2", "2001:db8::2")


class Levels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = nodes.Mesh({"a": (["10.0.0.1/24", "2001:db8::1/64"], []), "b": (["10.0.0.2/24", "2001:db8::2/64"], [])},
                              timeout=280)
        cls.a, cls.b = cls.mesh["a"], cls.mesh["b"]
        cls.b.spawn(["python3", "-c", ECHO, "22", "80", "8140"], "echo.log")
        guest.lib.wait_for("listeners", lambda: ":8140" in cls.b.run(["ss", "-ltn"]).stdout, 10)

    @classmethod
    def tearDownClass(cls):
        cls.mesh.close()

    def tearDown(self):
        self.mesh.stop()

    def ask(self, *targets):
        """Which of ADDRESS/PORT answered."""
        out = self.a.run(["python3", "-c", ASK, *targets], timeout=60).stdout
        return [line.split()[1] == "True" for line in out.splitlines()]

    def ask_udp(self, *addresses):
        out = self.a.run(["python3", "-c", ASK_UDP, *addresses], timeout=60).stdout
        return [line.split()[1] == "True" for line in out.splitlines()]

    def blocked(self, node):
        """What the kernel counted as against its policies: (in, out)."""
        text = node.run(["cat", "/proc/net/xfrm_stat"]).stdout
        count = {name: int(number) for name, number in re.findall(r"^(\w+)\s+(\d+)$", text, re.M)}
        return (count["XfrmInPolBlock"] + count["XfrmInTmplMismatch"],
                count["XfrmOutPolBlock"] + count["XfrmOutNoStates"] + count["XfrmAcquireError"])

    def reload(self, defaults, *hosts):
        self.mesh.write(self.mesh.inventory(defaults))
        for host in hosts or (self.a, self.b):
            host.espalier("reload")

    def test_ssh_and_icmp_stay_outside(self):
        for mode in ("tunnel", "transport"):
            self.mesh.write(self.mesh.inventory(f"mode: {mode}, except: [ssh, icmp, openvpn]"))
            self.a.start()
            guest.lib.wait_for("a answers", self.a.status, 15)
            http = nodes.Listener(self.a, "tcp port 80")
            ssh = nodes.Listener(self.a, "tcp port 22")
            pings = nodes.Listener(self.a, nodes.ECHOES)
            # No SA yet, and b's daemon is not there at all.
            for address in ADDRESSES:
                self.assertEqual(self.ask(f"{address}/22", f"{address}/80"), [True, False], mode)
                self.assertEqual(self.a.ping(address, 3), 3)
            before = self.blocked(self.a)
            self.assertGreater(before[1], 0, "closed, and counted")
            self.b.start()
            self.mesh.wait_up(1)
            for address in ADDRESSES:
                self.assertEqual(self.ask(f"{address}/22", f"{address}/80"), [True, True], mode)
                self.assertEqual(self.ask_udp(address), [True], "udp is protected as the rest is")
                self.assertEqual(self.a.ping(address, 3), 3)
            for node in (self.a, self.b):
                node.daemon.stop()
            self.assertEqual(self.ask("10.0.0.2/22", "10.0.0.2/80"), [True, True], "the daemons are down, the SAs are not")
            for node in (self.a, self.b):
                node.ip("xfrm", "state", "flush")
            self.assertEqual(self.ask("10.0.0.2/22", "10.0.0.2/80"), [True, False], "the daemons are down")
            self.assertGreaterEqual(len(ssh.stop()), 10)
            self.assertGreaterEqual(len(pings.stop()), 6)
            self.assertEqual(http.stop(), [], "http in the clear")
            priorities = {p[3] for p in self.a.policies() if p[:3] == ("out", "10.0.0.1/32", "10.0.0.2/32")}
            self.assertIn(0xE580, priorities)
            for node in (self.a, self.b):
                node.espalier("teardown")
            self.assertEqual(self.a.policies(), [])

    def test_esp_in_udp_gets_in_where_all_is_closed(self):
        self.mesh.write(self.mesh.inventory("encap: always"))
        self.mesh.start()
        self.mesh.wait_up(1)
        self.assertEqual(self.a.ping("10.0.0.2", 5, interval=0.05), 5)
        self.assertTrue(all("espinudp" in s["text"] for s in self.a.states()))
        self.a.espalier("rekey", "b")
        self.assertEqual(self.b.ping("10.0.0.1", 5, interval=0.05), 5)

    def test_only_one_port_of_a_host(self):
        text = self.mesh.inventory("except: ssh").replace('b: {', 'b: {only: {proto: tcp, port: 8140, side: local}, ')
        self.mesh.write(text)
        self.mesh.start()
        self.mesh.wait_up(1)
        clear = nodes.Listener(self.a, "tcp port 8140 or tcp port 80 or icmp")
        before = self.blocked(self.a)
        self.assertEqual(self.ask("10.0.0.2/8140", "2001:db8::2/8140", "10.0.0.2/22", "10.0.0.2/80", "2001:db8::2/80"),
                         [True, True, True, False, False])
        self.assertEqual(self.a.ping("10.0.0.2", 2, timeout=1), 0)
        self.assertEqual(clear.stop(), [])
        self.assertGreaterEqual(self.blocked(self.a)[1] - before[1], 2, "counted where it leaves")
        self.a.daemon.stop()
        self.a.espalier("teardown")
        before = self.blocked(self.b)
        self.assertEqual(self.ask("10.0.0.2/8140", "10.0.0.2/80", "10.0.0.2/22"), [False, False, True])
        self.assertGreaterEqual(self.blocked(self.b)[0] - before[0], 2, "counted where it arrives")

    def test_auto_takes_the_kernel_and_says_why(self):
        self.mesh.write(self.mesh.inventory())
        self.a.start(dataplane="auto")
        status = guest.lib.wait_for("a answers", self.a.status, 15)
        self.assertEqual(status["dataplane"], "kernel")
        self.assertIn("kernel: it has ESP with every suite", status["dataplane_why"])
        self.assertIn("dataplane kernel: it has ESP", self.a.log())
        self.assertEqual([s for s in self.a.states() if s["dst"] == "127.0.0.1"], [], "nothing is left of the trial")
        done = self.a.run([os.path.join(guest.lib.BIN, "espalier"), "--config", self.a.config, "check", "--host", "--self", "a",
                           "--json"], check=False)
        report = json.loads(done.stdout)
        self.assertEqual(report["dataplane"], "kernel", report)
        codes = {finding["code"] for finding in report["findings"]}
        self.assertIn("no-xfrm-interface", codes)
        self.assertFalse(codes & {"no-esp", "no-cipher", "no-xfrm", "firewall-drops"}, report)

    def flow(self, seconds):
        return self.a.spawn(guest.lib.ping_command("10.0.0.2", seconds * 20, 0.05, guest.lib.FLOW), f"flow.{seconds}.log")

    def test_levels_change_under_a_flow(self):
        for mode in ("tunnel, dpd: 2s", "transport, dpd: 2s"):
            self.mesh.write(self.mesh.inventory(f"mode: {mode}, protect: use"))
            self.assertEqual(self.a.ping("10.0.0.2", 3), 3)
            self.a.start()
            guest.lib.wait_for("a answers", self.a.status, 15)
            self.assertEqual(self.a.ping("10.0.0.2", 3), 3, "use: in the clear while the peer has no daemon")
            self.b.start()
            self.mesh.wait_up(1)
            clear = nodes.Listener(self.a, nodes.ECHOES)
            clear_b = nodes.Listener(self.b, nodes.ECHOES)
            spis = {s["spi"] for s in self.a.states()}
            flow = self.flow(6)
            # One end is ahead of the other each time.
            for level in ("require", "use", "require", "use", "require"):
                self.reload(f"mode: {mode}, protect: {level}", self.a)
                self.reload(f"mode: {mode}, protect: {level}", self.b)
            flow.wait(90)
            self.assertEqual(guest.lib.answered(flow.log(), 120), 120, "no packet was lost")
            self.assertEqual({s["spi"] for s in self.a.states()}, spis, "no SA was touched")
            # Under require nothing leaves or is taken in the clear: the SAs are taken away behind the daemons' backs.
            self.b.daemon.stop()
            self.b.ip("xfrm", "state", "flush")
            self.assertEqual(self.a.ping("10.0.0.2", 2, timeout=1), 0)
            self.assertEqual(clear.stop() + clear_b.stop(), [], "in the clear")
            # Towards use again: it passes, once a has found out that nobody is at the other end, or was told.
            self.b.espalier("teardown")
            self.reload(f"mode: {mode}, protect: use", self.a)
            if mode.startswith("transport"):
                self.a.espalier("down", "b")
            guest.lib.wait_for("use: in the clear", lambda: self.a.ping("10.0.0.2", 3, timeout=1) == 3, 60)
            self.reload(f"mode: {mode}, protect: require", self.a)
            closed = nodes.Listener(self.a, nodes.ECHOES)
            self.assertEqual(self.a.ping("10.0.0.2", 2, timeout=1), 0, "require: closed at once")
            self.assertEqual(closed.stop(), [])
            self.reload(f"mode: {mode}, protect: off", self.a)
            self.assertEqual(self.a.ping("10.0.0.2", 3), 3, "off: in the clear")
            self.assertEqual([p for p in self.a.policies() if p[2] == "10.0.0.2/32"], [], "off: no policies")
            self.a.daemon.stop()
            self.a.espalier("teardown")


if __name__ == "__main__":
    guest.need_kernel()
    unittest.main(verbosity=2)
