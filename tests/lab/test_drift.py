#!/usr/bin/env python3
"""What somebody changes by hand in the kernel is put right one entry at a time, within a second: an SA or a policy that
was deleted or altered, flushes, entries in our ranges that nobody wants. Nothing leaves in the clear meanwhile, and
entries of other programs are not touched."""
import time
import unittest

import guest
import nodes
from nodes import lib

FOREIGN_POLICY = ["src", "192.0.2.1", "dst", "192.0.2.2", "dir", "out", "priority", "1000", "tmpl", "proto", "esp", "reqid",
                  "7", "mode", "transport"]
FOREIGN_SA = ["src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi", "0x700", "reqid", "7", "mode", "transport",
              "aead", "rfc4106(gcm(aes))", "0x0000000000000000000000000000000000000001", "128"]
US, PEER = "10.0.0.1", "10.0.0.2"


class Drift(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = nodes.Mesh({"a": ([US + "/24", "2001:db8::1/64"], []), "b": ([PEER + "/24", "2001:db8::2/64"], [])})
        cls.a = cls.mesh["a"]
        cls.mesh.write(cls.mesh.inventory())
        cls.mesh.start()
        cls.mesh.wait_up()
        cls.a.ip("xfrm", "policy", "add", *FOREIGN_POLICY)
        cls.a.ip("xfrm", "state", "add", *FOREIGN_SA)
        cls.clear = nodes.Listener(cls.a, nodes.ECHOES)

    @classmethod
    def tearDownClass(cls):
        cls.mesh.close()

    def sas(self):
        """{SPI: (source, destination)} of ours."""
        return {s["spi"]: (s["src"], s["dst"]) for s in self.a.states() if s["reqid"] != "7"}

    def mended(self, what, condition, limit=3):
        """Seconds until the condition holds, and the pings go through."""
        start = time.monotonic()
        lib.wait_for(what, condition, limit, interval=0.02)
        took = time.monotonic() - start
        for address in (PEER, "2001:db8::2"):
            self.assertEqual(self.a.ping(address, 5, interval=0.05), 5, f"{what}\n{self.a.log()[-3000:]}")
        print(f"{what}: {took:.2f} s", flush=True)
        self.assertEqual([line for line in self.clear.lines()], [], "in the clear")

    def whole(self, before):
        """One SA in each direction, none of which is `before`'s."""
        now = self.sas()
        return sorted(now.values()) == [(US, PEER), (PEER, US)] and not set(now) & set(before)

    def foreign_stands(self):
        self.assertIn("0x00000700", self.a.ip("xfrm", "state"))
        self.assertIn("192.0.2.2", self.a.ip("xfrm", "policy"))

    def test_1_an_sa_deleted_by_hand_is_negotiated_anew(self):
        for source, destination in ((US, PEER), (PEER, US)):
            lib.wait_for("one SA in each direction", lambda: self.whole([]), 10)
            before = self.sas()
            spi = next(s for s, ends in before.items() if ends == (source, destination))
            self.a.ip("xfrm", "state", "delete", "src", source, "dst", destination, "proto", "esp", "spi", spi)
            # The half that is left lingers for packets on their way; the new pair stands at once.
            self.mended(f"an SA from {source} deleted", lambda: {
                ends for s, ends in self.sas().items() if s not in before} == {(US, PEER), (PEER, US)})
        self.assertIn("a-b", "".join(line for line in self.a.log().splitlines() if "has lost" in line))
        self.foreign_stands()

    def test_2_a_policy_deleted_or_altered_by_hand(self):
        before = self.a.policies()
        ours = ["src", US, "dst", PEER, "dir", "out"]
        self.a.ip("xfrm", "policy", "delete", *ours)
        self.mended("a policy deleted", lambda: sorted(self.a.policies()) == sorted(before))
        self.a.ip("xfrm", "policy", "update", *ours, "action", "block", "priority", "60000")
        self.mended("a policy made to block", lambda: sorted(self.a.policies()) == sorted(before))
        self.a.ip("xfrm", "policy", "update", *ours, "priority", "5")
        self.mended("a policy made to pass", lambda: sorted(self.a.policies()) == sorted(before))
        said = [line for line in self.a.log().splitlines() if "the policy out 10.0.0.1/32" in line]
        self.assertEqual(len(said), 3, said)
        self.assertTrue(all("a-b" in line for line in said), said)
        self.foreign_stands()

    def test_3_entries_of_ours_that_nobody_wants(self):
        self.a.ip("xfrm", "state", "add", "src", "198.51.100.1", "dst", "198.51.100.2", "proto", "esp", "spi", "0x999",
                  "reqid", str(0xE5000123), "mode", "tunnel", "aead", "rfc4106(gcm(aes))", "0x" + "01" * 20, "128")
        self.a.ip("xfrm", "policy", "add", "src", "198.51.100.0/24", "dst", "203.0.113.0/24", "dir", "out", "priority",
                  str(0xE600))
        self.mended("entries in our ranges", lambda: "198.51.100" not in self.a.ip("xfrm", "state")
                    + self.a.ip("xfrm", "policy"))
        self.foreign_stands()

    def test_4_an_altered_sa_is_replaced(self):
        lib.wait_for("one SA in each direction", lambda: self.whole([]), 10)
        before = self.sas()
        spi = next(s for s, ends in before.items() if ends == (US, PEER))
        block = next(s["text"] for s in self.a.states() if s["spi"] == spi)
        key = next(word for word in block.split() if word.startswith("0x") and len(word) > 40)
        # The same SA, and an end after 1000 packets.
        self.a.ip("xfrm", "state", "update", "src", US, "dst", PEER, "proto", "esp", "spi", spi, "reqid",
                  str(next(int(s["reqid"]) for s in self.a.states() if s["spi"] == spi)), "mode", "tunnel", "aead",
                  "rfc4106(gcm(aes))", key, "128", "limit", "packet-hard", "1000")
        self.mended("an SA altered", lambda: {
            ends for s, ends in self.sas().items() if s not in before} == {(US, PEER), (PEER, US)})

    # The flush takes the other program's away too; that is whoever flushed.
    def test_5_flushes(self):
        lib.wait_for("one SA in each direction", lambda: self.whole([]), 10)
        before, policies = self.sas(), [p for p in self.a.policies() if "192.0.2." not in p[2]]
        self.a.ip("xfrm", "state", "flush")
        self.mended("all SAs flushed", lambda: self.whole(before))
        self.a.ip("xfrm", "policy", "flush")
        self.mended("all policies flushed", lambda: sorted(self.a.policies()) == sorted(policies))

    def test_6_status_counts_it(self):
        repairs = self.a.status()["repairs"]
        self.assertGreaterEqual(repairs["sas-lost"], 4)
        self.assertGreaterEqual(repairs["policies-restored"], 3 + 6)
        self.assertEqual((repairs["sas-removed"], repairs["policies-removed"]), (1, 1))
        self.assertIn("somebody else changed the dataplane", self.a.espalier("status").stdout)


if __name__ == "__main__":
    guest.need_kernel()
    unittest.main(verbosity=2)
