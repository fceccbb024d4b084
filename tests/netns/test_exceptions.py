#!/usr/bin/env python3
"""`except` and `only` with the userspace plane: ssh and icmp outside IPsec, seen on the wire and up while the daemons
are not; one port inside it, everything else dropped and counted. A second inventory says the old VPN's port."""
import re
import socket
import threading
import unittest

import lib

HOSTS = {n: lib.THREE[n] for n in ("bender", "flexo")}


class Echo:
    """A TCP listener on a host that answers with what it got; a datagram one for UDP."""

    def __init__(self, host, port, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        def opened():
            listening = socket.socket(family, kind)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(("", port))
            if kind == socket.SOCK_STREAM:
                listening.listen(8)
            listening.settimeout(0.2)
            return listening

        self.socket, self.kind = lib.in_netns(host.netns, opened), kind
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while not self._stop.is_set():
            try:
                if self.kind == socket.SOCK_DGRAM:
                    data, peer = self.socket.recvfrom(2000)
                    self.socket.sendto(data, peer)
                    continue
                client, _ = self.socket.accept()
                client.settimeout(2)
                client.sendall(client.recv(2000))
                client.close()
            except OSError:
                pass

    def stop(self):
        self._stop.set()
        self._thread.join()
        self.socket.close()


def ask(host, address, port, kind=socket.SOCK_STREAM, timeout=1.0, data=b"cleartext-cleartext"):
    """Whether the echo came back."""
    def call():
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as asking:
            asking.settimeout(timeout)
            asking.connect((address, port))
            asking.sendall(data)
            return asking.recv(2000) == data

    try:
        return lib.in_netns(host.netns, call)
    except OSError:
        return False


def dropped(host):
    """(in, out), as nftables counts them."""
    out = host.run(["nft", "list", "counters", "table", "inet", "espalier"]).stdout
    return tuple(int(re.search(rf"counter dropped_{way} {{\s*packets (\d+)", out)[1]) for way in ("in", "out"))


class Exceptions(unittest.TestCase):
    def start(self, settings):
        self.lab = lib.Lab(HOSTS)
        self.addCleanup(self.lab.close)
        self.lab.write_all(lib.inventory("except", HOSTS) + settings, lib.new_secret())
        self.bender, self.flexo = self.lab["bender"], self.lab["flexo"]

    def echo(self, *args, **words):
        echo = Echo(self.flexo, *args, **words)
        self.addCleanup(echo.stop)

    def test_ssh_and_icmp_stay_outside(self):
        self.start("defaults: {except: [ssh, icmp, {proto: udp, port: 7000-7099, side: either}]}\n")
        for family in (socket.AF_INET, socket.AF_INET6):
            self.echo(22, family)
            self.echo(80, family)
        self.echo(7050, kind=socket.SOCK_DGRAM)
        self.bender.start()
        lib.wait_for("bender answers", self.bender.status, 15)
        wire = lib.Wire(self.lab)
        # No SA yet: what is excepted works, nothing else does.
        for address in ("10.77.0.2", "fd77::2"):
            self.assertTrue(ask(self.bender, address, 22), f"ssh to {address}")
            self.assertFalse(ask(self.bender, address, 80, timeout=0.5), f"http to {address}")
            self.assertEqual(self.bender.ping(address, 3), 3)
        self.assertTrue(ask(self.bender, "10.77.0.2", 7050, socket.SOCK_DGRAM))
        self.assertFalse(ask(self.bender, "10.77.0.2", 7100, socket.SOCK_DGRAM, 0.5))
        self.flexo.start()
        self.lab.wait_up(30)
        for address in ("10.77.0.2", "fd77::2"):
            self.assertTrue(ask(self.bender, address, 22), f"ssh to {address}")
            self.assertTrue(ask(self.bender, address, 80, data=b"secret-secret-secret"), f"http to {address}")
            self.assertEqual(self.bender.ping(address, 3), 3)
            self.assertEqual(self.flexo.ping(address[:-1] + "1", 3), 3)
        for host in (self.bender, self.flexo):
            host.daemon.stop()  # ssh must not hang on the daemon
        self.assertTrue(ask(self.bender, "10.77.0.2", 22), "ssh while the daemons are down")
        self.assertFalse(ask(self.bender, "10.77.0.2", 80, timeout=0.5), "closed while the daemons are down")
        packets = [p for p in wire.stop() if p.is_ip() and not p.is_ipsec() and not p.is_link_upkeep()]
        clear = [p for p in packets if p.src in ("10.77.0.1", "10.77.0.2", "fd77::1", "fd77::2")]
        self.assertFalse([str(p) for p in clear if b"secret-secret" in p.frame], "http was seen")
        ports = {22} | set(range(7000, 7100))
        allowed = [p for p in clear if p.protocol in (1, 58) or (p.payload and {int.from_bytes(p.payload[:2], "big"),
                                                                              int.from_bytes(p.payload[2:4], "big")} & ports)]
        self.assertEqual([str(p) for p in clear if p not in allowed], [])
        self.assertTrue([p for p in clear if p.protocol == 6], "ssh was not seen in the clear")
        self.assertTrue([p for p in clear if p.protocol == 1], "ping was not seen in the clear")

    def test_only_one_port_and_the_rest_is_dropped_and_counted(self):
        self.start("defaults: {except: [ssh]}\npairs: {flexo-bender: {only: {proto: tcp, port: 8140, side: local}}}\n")
        for port in (22, 80, 8140):
            self.echo(port)
        self.lab.start_all()
        self.lab.wait_up(30)
        child = self.bender.pair("flexo")["children"]
        self.assertEqual({t for c in child for t in c["remote_ts"]}, {"10.77.0.2/32[tcp/8140]", "fd77::2/128[tcp/8140]"})
        wire = lib.Wire(self.lab)
        self.assertTrue(ask(self.bender, "10.77.0.2", 8140), "the port that goes inside IPsec")
        self.assertTrue(ask(self.bender, "10.77.0.2", 22), "the exception")
        before = dropped(self.flexo)
        self.assertFalse(ask(self.bender, "10.77.0.2", 80, timeout=0.5))
        self.assertEqual(self.bender.ping("10.77.0.2", 2, timeout=1), 0)
        # From outside: what arrives in the clear is dropped and counted.
        self.bender.daemon.stop()
        self.bender.espalier("teardown")
        self.assertFalse(ask(self.bender, "10.77.0.2", 8140, timeout=0.5), "8140 in the clear")
        self.assertEqual(self.bender.ping("10.77.0.2", 2, timeout=1), 0)
        self.assertTrue(ask(self.bender, "10.77.0.2", 22))
        self.assertGreaterEqual(dropped(self.flexo)[0] - before[0], 3, "counted")
        wire.stop()

    def test_a_reload_adds_and_removes_an_exception(self):
        self.start("")
        self.echo(22)
        self.lab.start_all()
        self.lab.wait_up(30)
        spis = self.bender.spis("flexo")
        base = lib.inventory("except", HOSTS)

        def reload(text):
            for host in (self.bender, self.flexo):
                host.write("mesh.yaml", base + text, 0o644)
                host.espalier("reload")

        def clear_ssh():
            wire = lib.Wire(self.lab)
            self.assertTrue(ask(self.bender, "10.77.0.2", 22))
            return any(p.is_ip() and p.protocol == 6 for p in wire.stop())

        self.assertFalse(clear_ssh())
        reload("defaults: {except: ssh}\n")
        self.assertTrue(clear_ssh(), "ssh is outside now")
        reload("defaults: {except: [icmp, openvpn]}\n")
        self.assertFalse(clear_ssh(), "ssh is inside again")
        self.assertEqual(self.bender.spis("flexo"), spis, "no SA was touched for it")


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
