#!/usr/bin/env python3
"""Every ESP suite that the kernel has, against strongSwan's kernel-netlink; extended sequence numbers and windows up to
4096; an SA's limits in packets, which the kernel enforces; and what only it has is refused elsewhere by name."""
import re
import unittest

import guest
import swan
from nodes import lib

# The word on both ends, and what the kernel calls it.
SUITES = [
    ("aes128gcm8", "rfc4106(gcm(aes))", 64), ("aes256gcm12", "rfc4106(gcm(aes))", 96), ("aes192gcm16", "rfc4106(gcm(aes))", 128),
    ("aes128ccm8", "rfc4309(ccm(aes))", 64), ("aes256ccm16", "rfc4309(ccm(aes))", 128),
    ("chacha20poly1305", "rfc7539esp(chacha20,poly1305)", 128), ("aes256ctr-sha256", "rfc3686(ctr(aes))", 128),
    ("aes128-sha1", "cbc(aes)", 96), ("aes256-sha512", "cbc(aes)", 256), ("aes128gmac", "rfc4543(gcm(aes))", 128),
    ("null-sha256", "ecb(cipher_null)", 128),
]


class Suites(swan.SwanCase):
    def test_1_each_carries(self):
        self.begin("tunnel", "10.0.0.1", "10.0.0.9", ", ".join(word for word, _, _ in SUITES))
        self.assertIn("authenticates and does not encrypt: 'null-sha256", self.bender.log())
        for word, name, bits in SUITES:
            with self.subTest(suite=word):
                self.load("tunnel", "10.0.0.1", "10.0.0.9", word)
                self.swan.initiate()
                self.carries("tunnel", "10.0.0.9", 3)
                text = self.bender.states()[0]["text"]
                self.assertIn(name, text)
                self.assertIn(f" {bits}\n", text)
                self.swan.terminate()
                lib.wait_for("no SA", lambda: not self.bender.states(), 10)

    def test_2_windows_and_sequence_numbers(self):
        for window, esn in ((32, "noesn"), (4096, "esn")):
            self.begin("transport", "10.0.0.1", "10.0.0.9", more=f", replay_window: {window}, esn: {'off' if esn == 'noesn' else 'on'}")
            self.load("transport", "10.0.0.1", "10.0.0.9", f"aes256gcm16-{esn}")
            self.bender.espalier("up", "swan")
            self.carries("transport", "10.0.0.9", 50)
            inbound = next(s for s in self.bender.states() if s["dst"] == "10.0.0.1")
            self.assertIn(f"replay_window {window}", inbound["text"])
            self.assertEqual("esn" in re.search(r"flag[^\n]*", inbound["text"] + "flag").group(0), esn == "esn")
            self.tearDown()

    # The kernel counts and says when to rekey; no packet is lost by it.
    def test_3_a_limit_in_packets(self):
        self.begin("tunnel", "10.0.0.1", "10.0.0.9", more=", lifetimes: {child_packets: 1000, jitter: 0%}")
        self.bender.espalier("up", "swan")
        self.carries("tunnel", "10.0.0.9")
        self.assertIn("soft 1000(packets), hard 1100(packets)", self.bender.ip("-s", "xfrm", "state"))
        flow = self.bender.spawn(lib.ping_command("10.0.0.9", 3500, 0.002, lib.FLOW), "limit.log")
        self.assertEqual(flow.wait(90), 0, flow.log())
        self.assertEqual(lib.answered(flow.log(), 3500), 3500)
        rekeys = self.bender.log().count("rekeyed")
        self.assertGreaterEqual(rekeys, 3, self.bender.log()[-3000:])

    def test_4_refused_without_the_kernel(self):
        self.bender.write("mesh.yaml", swan.INVENTORY.format(mode="tunnel", ours="10.0.0.1", theirs="10.0.0.9",
                                                             esp="aes128ccm16, null-sha256", more=""), 0o644)
        self.bender.start(dataplane="userspace")
        self.assertEqual(self.bender.daemon.wait(10), 65)
        for word in ("aes128ccm16", "null-sha256"):
            self.assertIn(f"the proposal '{word}' is not supported yet; the kernel dataplane has it", self.bender.log())


if __name__ == "__main__":
    guest.need_kernel()
    swan.strongswan.need_strongswan()
    unittest.main(verbosity=2)
