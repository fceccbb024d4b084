#!/usr/bin/env python3
"""The wire is watched while daemons start, stop, are killed and come back: nothing protected is ever sent
or accepted in the clear, until `espalier teardown`."""
import signal
import socket
import threading
import unittest

import lib

PORT = 9000


class Talker:
    """Sends datagrams to a peer without a pause, and counts those that arrive the other way."""

    def __init__(self, host, address, peer):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def open_socket():
            opened = socket.socket(family, socket.SOCK_DGRAM)
            opened.bind((address, PORT))
            opened.settimeout(0.05)
            return opened

        self.socket = lib.in_netns(host.netns, open_socket)
        self.peer, self.sent, self.received = peer, 0, 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=f, daemon=True) for f in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self):
        while not self._stop.wait(0.002):
            try:
                self.socket.sendto(b"cleartext-cleartext", (self.peer, PORT))
                self.sent += 1
            except OSError:
                pass  # dropped by our rules: EPERM

    def _receive(self):
        while not self._stop.is_set():
            try:
                self.socket.recv(2000)
                self.received += 1
            except OSError:
                pass

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.socket.close()


class ClosedWhenItFails(unittest.TestCase):
    def setUp(self):
        hosts = {n: lib.THREE[n] for n in ("bender", "flexo")}
        self.lab = lib.Lab(hosts)
        self.lab.write_all(lib.inventory("closed", hosts), lib.new_secret())
        self.bender, self.flexo = self.lab["bender"], self.lab["flexo"]
        self.addresses = [a for h in hosts.values() for a in h]

    def tearDown(self):
        self.lab.close()

    def talk(self):
        return [Talker(self.bender, "10.77.0.1", "10.77.0.2"), Talker(self.flexo, "10.77.0.2", "10.77.0.1"),
                Talker(self.bender, "fd77::1", "fd77::2"), Talker(self.flexo, "fd77::2", "fd77::1")]

    def assert_nothing_in_the_clear(self, wire):
        packets = wire.stop()
        self.assertEqual([str(p) for p in lib.leaks(packets, self.addresses)][:5], [])
        self.assertFalse([str(p) for p in packets if b"cleartext-cleartext" in p.frame][:5])

    def test_killed_and_restarted(self):
        self.lab.start_all()
        self.lab.wait_up(30)
        wire, talkers = lib.Wire(self.lab), self.talk()
        for _ in range(2):
            self.bender.daemon.stop(signal.SIGKILL)
            self.assertIsNone(self.bender.status())
            self.assertEqual(self.bender.ping("10.77.0.2", 2, timeout=1), 0)
            self.bender.start()
            self.lab.wait_up(60)
            self.assertGreater(self.bender.ping("10.77.0.2", 3), 0, "back by itself")
        for talker in talkers:
            talker.stop()
        self.assertTrue(all(t.received > 0 for t in talkers), "the tunnel carried the datagrams")
        self.assert_nothing_in_the_clear(wire)

    def test_sigterm_leaves_it_closed_and_teardown_opens_it(self):
        self.lab.start_all()
        self.lab.wait_up(30)
        wire, talkers = lib.Wire(self.lab), self.talk()
        self.assertEqual(self.bender.daemon.stop(signal.SIGTERM), 0)
        self.assertEqual(self.bender.ping("10.77.0.2", 2, timeout=1), 0)
        self.assertIn("table inet espalier", self.bender.run(["nft", "list", "tables"]).stdout)
        self.assertEqual(self.flexo.daemon.stop(signal.SIGTERM), 0)
        self.assertEqual(self.flexo.ping("10.77.0.1", 2, timeout=1), 0)
        for talker in talkers:
            talker.stop()
        self.assert_nothing_in_the_clear(wire)
        for host in (self.bender, self.flexo):
            self.assertEqual(host.espalier("teardown", check=False).returncode, 0)
            self.assertEqual(host.run(["nft", "list", "tables"]).stdout, "")
            self.assertNotIn("espalier", host.ip("link"))
            for family in ("-4", "-6"):
                self.assertNotIn("58624", host.ip(family, "rule"))
                self.assertEqual(lib.run(["ip", "-n", host.netns, family, "route", "show", "table", "58624"],
                                         check=False).stdout.replace("Error: ipv4: FIB table does not exist.\nDump terminated\n", "")
                                 .replace("Error: ipv6: FIB table does not exist.\nDump terminated\n", ""), "")
        self.assertEqual(self.bender.ping("10.77.0.2", 2), 2, "after teardown on both the wire is open")
        self.assertEqual(self.bender.espalier("teardown", check=False).returncode, 0, "and again")

    def test_closed_while_the_peer_is_not_there_yet(self):
        self.bender.start()
        lib.wait_for("the first daemon answers", self.bender.status, 15)
        wire, talkers = lib.Wire(self.lab), self.talk()  # flexo has no protection yet: bender must refuse
        self.assertEqual(self.bender.ping("10.77.0.2", 2, timeout=1), 0)
        self.assertEqual(talkers[0].received, 0, "bender accepted cleartext")
        self.assertEqual(talkers[2].received, 0, "bender accepted cleartext")
        self.flexo.start()
        self.lab.wait_up(60)
        for talker in talkers:
            talker.stop()
        packets = [p for p in wire.stop() if p.src in ("10.77.0.1", "fd77::1")]
        self.assertEqual([str(p) for p in lib.leaks(packets, self.addresses)][:5], [])


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
