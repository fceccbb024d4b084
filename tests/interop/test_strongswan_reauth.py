#!/usr/bin/env python3
"""Authentication repeated with strongSwan, make before break (RFC 7296 section 2.8.3): by us, and by it, while
a ping in each direction counts every packet."""
import unittest

import strongswan
import test_strongswan
from strongswan import lib

IKE, ESP = "aes256gcm16-prfsha384-x25519", "aes256gcm16"


class Reauthentication(test_strongswan.Bed):
    def assert_nothing_lost(self, seconds, times):
        """Pings both ways for so long; meanwhile the IKE SA is replaced so often and more."""
        count = seconds * 10
        pings = [host.spawn(lib.ping_command(to, count, 0.1, lib.FLOW), "ping.log")
                 for host, to in ((self.bender, "10.77.0.9"), (self.swan.host, "10.77.0.1"))]
        for _ in range(times):
            before = self.bender.spis("swan")
            lib.wait_for("another IKE SA", lambda: (self.bender.spis("swan") or before)[0] != before[0], seconds)
        for ping in pings:
            ping.popen.wait(seconds + 90)
            self.assertEqual(lib.answered(ping.log(), count), count, "the new authentication lost packets")
        self.assert_agreement()
        self.assert_traffic()

    def test_espalier_repeats_it(self):
        self.bring_up("bender", IKE, ESP, ours="    lifetimes: {reauth: 1m}\n")
        self.assert_nothing_lost(110, 2)
        self.assertIn("authenticating anew", self.bender.daemon.log())

    def test_strongswan_repeats_it(self):
        self.bring_up("swan", IKE, ESP, more="reauth_time = 20s\n    rand_time = 0")
        self.assert_nothing_lost(60, 2)
        self.assertIn("the peer made a new IKE SA", self.bender.daemon.log())


if __name__ == "__main__":
    lib.need_root()
    strongswan.need_strongswan()
    unittest.main(verbosity=2)
