#!/usr/bin/env python3
"""espalierd and strongSwan: identities of each kind, exact and with wildcards, either side starts."""
import os
import unittest

import auth_case
import pki
import strongswan
from strongswan import lib

DN_OURS, DN_THEIRS = "C=DE, O=Lab, CN=bender", "C=DE, O=Lab, CN=swan"


class Identities(auth_case.AuthCase):
    """One authority of each lab; the cases are in test_* below."""

    def certificates(self, **ids):
        root = pki.Authority(os.path.join(self.lab.folder, "ca"))
        sans = ["bender.lab.example", "bender@lab.example", "10.77.0.1"]
        ours = root.issue("bender", DN_OURS, sans)
        theirs = root.issue("swan", DN_THEIRS, ["swan.lab.example", "swan@lab.example", "10.77.0.9"])
        self.connect(ours, theirs, **ids)

    def both_ways(self, **ids):
        for initiator in ("bender", "swan"):
            with self.subTest(initiator=initiator, **ids):
                self.open_lab()
                self.certificates(initiator=initiator, **ids)
                self.assert_up()
                self.close_lab()

    def test_distinguished_names(self):
        self.both_ways(our_id=DN_OURS, their_id=DN_THEIRS)

    def test_fqdn(self):
        self.both_ways(our_id="bender.lab.example", their_id="swan.lab.example")

    def test_email(self):
        self.both_ways(our_id="bender@lab.example", their_id="swan@lab.example")

    def test_address(self):
        self.both_ways(our_id="10.77.0.1", their_id="10.77.0.9")

    def test_we_know_the_peer_by_a_wildcard(self):
        for known in ("C=DE, O=Lab, CN=*", "%any"):
            self.both_ways(our_id=DN_OURS, their_id=DN_THEIRS, we_know=known)
        self.both_ways(our_id=DN_OURS, their_id="swan.lab.example", we_know="*.lab.example")
        self.both_ways(our_id=DN_OURS, their_id="swan@lab.example", we_know="*@lab.example")

    def test_the_peer_knows_us_by_a_wildcard(self):
        self.both_ways(our_id=DN_OURS, their_id=DN_THEIRS, they_know="C=DE, O=Lab, CN=*")
        self.both_ways(our_id="bender.lab.example", their_id=DN_THEIRS, they_know="*.lab.example")

    def test_key_ids_with_a_secret(self):
        for initiator in ("bender", "swan"):
            with self.subTest(initiator=initiator):
                self.open_lab()
                self.connect(None, None, initiator=initiator, our_id="@#0a0b0c", their_id="keyid:swan-7")
                self.assert_up()
                self.close_lab()

    def test_another_identity_is_refused(self):
        for initiator in ("bender", "swan"):
            with self.subTest(initiator=initiator):
                self.open_lab()
                self.certificates(initiator=initiator, our_id=DN_OURS, their_id=DN_THEIRS,
                                  we_know="C=DE, O=Other, CN=*")
                self.assert_refused("C=DE, O=Lab, CN=swan")
                self.close_lab()


if __name__ == "__main__":
    lib.need_root()
    strongswan.need_strongswan()
    unittest.main(verbosity=2)
