#!/usr/bin/env python3
"""A full mesh of thirty hosts in one kernel: transport mode, ssh and icmp outside IPsec, every pair up, packets between all
neighbours encrypted, exceptions in the clear; one host restarted, and one taken out by a reload of all."""
import re
import time
import unittest

import guest
import nodes
from nodes import lib

COUNT = 30
SERVER = """
import socket
listening = socket.create_server(('', 80))
while True:
    client, _ = listening.accept()
    client.close()
"""
CLIENT = """
import socket, sys
for address in sys.argv[1:]:
    try:
        socket.create_connection((address, 80), 10).close()
        print('answered', address)
    except OSError as error:
        print('failed', address, error)
"""


def address(index):
    return f"10.0.0.{index + 1}"


class Thirty(unittest.TestCase):
    def setUp(self):
        self.names = [f"n{i:02}" for i in range(COUNT)]
        self.mesh = nodes.Mesh({name: ([f"{address(i)}/24"], []) for i, name in enumerate(self.names)}, timeout=280, memory=1200)
        self.addCleanup(self.mesh.close)

    @staticmethod
    def sas(node):
        # What connect() asks for where there is no SA has no SPI: ping looks for its source address by it.
        return [state for state in node.states() if int(state["spi"], 16) != 0]

    def connect(self, index):
        """To port 80 of every other host."""
        others = [address(i) for i in range(COUNT) if i != index]
        out = self.mesh[self.names[index]].run(["python3", "-c", CLIENT, *others], timeout=120).stdout
        return out.count("answered"), out

    def test_all_of_it(self):
        mesh, first = self.mesh, self.mesh[self.names[0]]
        for name in self.names:
            mesh[name].spawn(["python3", "-c", SERVER], "server.log")
        mesh.write(mesh.inventory("mode: transport, except: [ssh, icmp]"))
        started = time.monotonic()
        mesh.start()
        mesh.wait_up(timeout=200)
        print(f"{COUNT * (COUNT - 1) // 2} pairs up after {time.monotonic() - started:.0f} s", flush=True)
        self.assertEqual({state["mode"] for state in self.sas(first)}, {"transport"})
        self.assertEqual(len(self.sas(first)), 2 * (COUNT - 1))
        clear = nodes.Listener(first, "tcp port 80")
        echoes = nodes.Listener(first, nodes.ECHOES)
        answered, out = self.connect(0)
        self.assertEqual(answered, COUNT - 1, out)
        self.assertEqual(first.ping(address(COUNT - 1), 3), 3)
        self.assertEqual(clear.stop(), [], "port 80 in the clear")
        self.assertGreaterEqual(len(echoes.stop()), 3, "icmp is outside")
        # One host's daemon goes and comes: its kernel has all SAs, and nobody keys anew.
        before = sorted(state["spi"] for state in self.sas(first))
        first.daemon.stop()
        first.start()
        mesh.wait_up(COUNT - 1, [first])
        self.assertEqual(sorted(state["spi"] for state in self.sas(first)), before)
        # The last leaves the mesh.
        mesh[self.names[-1]].daemon.stop()
        mesh[self.names[-1]].espalier("teardown")
        mesh.write(mesh.inventory("mode: transport, except: [ssh, icmp]", hosts=self.names[:-1]))
        for name in self.names[:-1]:
            mesh[name].espalier("reload")
        # What arrives late is taken for a few seconds.
        lib.wait_for("the SAs with it are gone", lambda: len(self.sas(first)) == 2 * (COUNT - 2), 20)
        gone = address(COUNT - 1)
        self.assertEqual([p for p in first.policies() if re.match(f"{gone}/", p[2])], [])
        answered, out = self.connect(1)
        self.assertEqual(answered, COUNT - 1, out)


if __name__ == "__main__":
    guest.need_kernel()
    unittest.main(verbosity=2)
