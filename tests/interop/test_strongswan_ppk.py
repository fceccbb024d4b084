#!/usr/bin/env python3
"""Post-quantum preshared keys (RFC 8784) with strongSwan: either side starts, with keys and certificates,
required and optional, and what must not come up."""
import unittest

import strongswan
import test_strongswan
from strongswan import lib

IKE, ESP = "aes256gcm16-prfsha384-x25519", "aes256gcm16"
PPK = "0sMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER = "0sZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="


class PostQuantumKeys(test_strongswan.Bed):
    def start(self, initiator, ours, theirs, auth="psk"):
        """ours, theirs: (id, secret, required), or nothing."""
        text = ""
        if ours:
            text = f'    ppk: {{id: {ours[0]}, secret: "file:pq.secret", required: {"on" if ours[2] else "off"}}}\n'
            self.files = {"private/pq.secret": ours[1] + "\n"}
        more, ppk = "", None
        if theirs:
            more = f"ppk_id = {theirs[0]}\n    ppk_required = {'yes' if theirs[2] else 'no'}"
            ppk = theirs[:2]
        self.prepare(initiator, IKE, ESP, auth, text, more=more, ppk=ppk)

    def up(self, initiator, *words, with_ppk=True, **settings):
        self.start(initiator, *words, **settings)
        if initiator == "swan":
            self.swan.initiate()
        self.wait_up()
        self.assert_traffic()
        self.assert_agreement()
        said = "with a post-quantum key" in self.bender.daemon.log()
        self.assertEqual(said, with_ppk, self.bender.daemon.log()[-2000:])

    def refused(self, initiator, ours, theirs, reason):
        self.start(initiator, ours, theirs)
        if initiator == "swan":
            self.swan.initiate(check=False)
        lib.wait_for("a reason", lambda: reason in self.bender.daemon.log(), 30)
        self.assertEqual(self.swan.sas(), ([], []))
        self.assertEqual(self.bender.ping("10.77.0.9", 1, timeout=1), 0)

    def test_required_espalier_starts(self):
        self.up("bender", ("fleet", PPK, True), ("fleet", PPK, True))
        self.assert_rekeys()

    def test_required_strongswan_starts(self):
        self.up("swan", ("fleet", PPK, True), ("fleet", PPK, True))
        self.assert_rekeys()

    def test_optional_with_certificates_espalier_starts(self):
        # Two signatures: AUTH and NO_PPK_AUTH.
        self.up("bender", ("fleet", PPK, False), ("fleet", PPK, False), auth="cert")

    def test_optional_with_certificates_strongswan_starts(self):
        self.up("swan", ("fleet", PPK, False), ("fleet", PPK, False), auth="cert")

    def test_optional_where_the_other_has_none(self):
        for initiator in ("bender", "swan"):
            with self.subTest(initiator=initiator):
                self.up(initiator, ("fleet", PPK, False), None, with_ppk=False)
                self.doCleanups()

    def test_optional_where_the_other_has_another(self):
        # strongSwan as responder refuses an identifier that is not its own, whatever ppk_required says.
        self.up("swan", ("fleet", PPK, False), ("navy", OTHER, False), auth="cert", with_ppk=False)

    def test_required_where_the_other_has_none(self):
        self.refused("bender", ("fleet", PPK, True), None, "has no post-quantum key (RFC 8784)")
        self.doCleanups()
        self.refused("swan", ("fleet", PPK, True), None, "the peer uses no post-quantum key (RFC 8784)")

    def test_another_secret_of_the_same_id(self):
        self.refused("bender", ("fleet", PPK, True), ("fleet", OTHER, True), "refused our authentication")
        self.doCleanups()
        self.refused("swan", ("fleet", PPK, False), ("fleet", OTHER, False), "the post-quantum secret ('ppk')")


if __name__ == "__main__":
    lib.need_root()
    strongswan.need_strongswan()
    unittest.main(verbosity=2)
