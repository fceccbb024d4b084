#!/usr/bin/env python3
"""A stranger on the wire, and a peer's forged address, throw bytes at ports 500 and 4500 while pings flow."""
import os
import random
import socket
import struct
import time
import unittest

import lib

HOSTS = {**{n: lib.THREE[n] for n in ("bender", "flexo")}, "mallory": ["10.77.0.66/24", "fd77::66/64"]}


def ike_header(rng, length, exchange=34, flags=8, next_payload=33):
    return struct.pack("!QQBBBBII", rng.getrandbits(64) | 1, rng.choice([0, rng.getrandbits(64)]), next_payload,
                       0x20, exchange, flags, rng.choice([0, 1, 2, 0xFFFFFFFF]), length)


def hostile(rng):
    """One datagram: noise, a half message, an IKE header with lies in it, or ESP of an SA that is not there."""
    kind = rng.randrange(6)
    noise = os.urandom(rng.choice([0, 1, 3, 4, 27, 28, 60, 400, 1300]))
    if kind == 0:
        return noise
    if kind == 1:  # a length that lies
        return ike_header(rng, rng.choice([0, 27, 28, 0xFFFFFFFF, len(noise) + 28])) + noise
    if kind == 2:  # a payload chain that never ends, or ends beyond the message
        payloads = b"".join(struct.pack("!BBH", rng.choice([33, 34, 40, 41, 46, 53]), rng.choice([0, 0x80]),
                                        rng.choice([0, 3, 4, 8, 0xFFFF])) + os.urandom(4) for _ in range(40))
        return ike_header(rng, 28 + len(payloads), rng.choice([34, 35, 36, 37, 255])) + payloads
    if kind == 3:  # encrypted and fragment payloads for SAs that are not there
        body = struct.pack("!BBHHH", 0, 0, 40, rng.randrange(65536), rng.randrange(65536)) + os.urandom(32)
        return ike_header(rng, 28 + len(body), 35, 8, rng.choice([46, 53])) + body
    if kind == 4:  # ESP
        return struct.pack("!II", rng.getrandbits(32) | 1, rng.getrandbits(32)) + noise
    return b"\xff" * rng.choice([1, 2, 100])  # a keepalive and its likeness


class HostileBytes(unittest.TestCase):
    def test_pings_flow_and_nothing_grows(self):
        lab = lib.Lab(HOSTS)
        self.addCleanup(lab.close)
        two = {n: HOSTS[n] for n in ("bender", "flexo")}
        lab.write_all(lib.inventory("hostile", two), lib.new_secret())
        for name in two:
            lab[name].start()
        lab.wait_up(30, expect=1, hosts=list(two))
        bender, spis = lab["bender"], lab["bender"].spis("flexo")
        seed = int(os.environ.get("ESPALIER_SEED", time.time()))
        print(f"ESPALIER_SEED={seed}")
        rng = random.Random(seed)
        memory = self.memory(bender)
        pinging = bender.spawn(lib.ping_command("10.77.0.2", 100, 0.1, lib.FLOW), "ping.log")
        sockets = [lib.in_netns(lab["mallory"].netns, lambda f=f: socket.socket(f, socket.SOCK_DGRAM))
                   for f in (socket.AF_INET, socket.AF_INET6)]
        raw = lib.in_netns(lab["mallory"].netns,
                           lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))
        sent, end = 0, time.monotonic() + 10
        while time.monotonic() < end:
            for port in (500, 4500):
                body = hostile(rng)
                if port == 4500 and rng.random() < 0.5:
                    body = b"\0\0\0\0" + body  # the non-ESP marker
                sockets[0].sendto(body, ("10.77.0.1", port))
                sockets[1].sendto(body, ("fd77::1", port))
                udp = struct.pack("!HHHH", port, port, 8 + len(body), 0) + body
                head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                                   socket.inet_aton("10.77.0.2"), socket.inet_aton("10.77.0.1"))
                raw.sendto(head + udp, ("10.77.0.1", 0))
                sent += 3
            time.sleep(0.001)
        print(f"{sent} hostile datagrams")
        pinging.popen.wait(90)
        self.assertEqual(lib.answered(pinging.log(), 100), 100)
        self.assertTrue(bender.daemon.alive(), bender.daemon.log()[-3000:])
        self.assertEqual(bender.spis("flexo"), spis, "the pair was disturbed")
        self.assertLess(self.memory(bender) - memory, 64 * 1024, "KiB that the flood left behind")

    @staticmethod
    def memory(host):
        with open(f"/proc/{host.daemon.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
