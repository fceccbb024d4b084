#!/usr/bin/env python3
"""espalierd and strongSwan: signatures of each kind, chains, revocation and what is refused, either side starts."""
import os
import shutil
import unittest

import auth_case
import pki
import strongswan
from strongswan import lib

# In strptime(3) form, as pki takes dates.
LONG_AGO = ["--dateform", "%Y-%m-%d", "--not-before", "2020-01-01", "--not-after", "2021-01-01"]


class Certificates(auth_case.AuthCase):
    def folder(self):
        return os.path.join(self.lab.folder, "ca")

    def both_ways(self, run):
        for initiator in ("bender", "swan"):
            with self.subTest(initiator=initiator):
                self.open_lab()
                run(initiator)
                self.close_lab()

    def signatures(self, kind, size, swan_auth="pubkey"):
        def run(initiator):
            root = pki.Authority(self.folder(), kind=kind, size=size)
            self.connect(root.issue("bender"), root.issue("swan"), initiator, swan_auth=swan_auth)
            self.assert_up()

        self.both_ways(run)

    def test_rsa_pss(self):
        self.signatures("rsa", "2048", "rsa/pss-sha256")

    def test_rsa_pss_with_sha512(self):
        def run(initiator):
            root = pki.Authority(self.folder(), kind="rsa", size="3072")
            self.connect(root.issue("bender"), root.issue("swan"), initiator, swan_auth="rsa/pss-sha512")
            self.assert_up()
            self.assertIn("with RSA_EMSA_PSS_SHA2_512", self.swan.log())
            self.assertEqual(self.swan.log().count("RSA_EMSA_PKCS1"), 0)

        self.both_ways(run)

    def test_rsa_pkcs1_is_taken(self):
        self.signatures("rsa", "2048", "rsa-sha256")

    def test_ecdsa_256(self):
        self.signatures("ecdsa", "256")

    def test_ecdsa_384(self):
        self.signatures("ecdsa", "384")

    def test_ecdsa_521(self):
        self.signatures("ecdsa", "521")

    def test_ed25519(self):
        self.signatures("ed25519", "")

    def test_ed448(self):
        self.signatures("ed448", "")

    def test_ecdsa_256_without_rfc7427(self):
        self.without_rfc7427("ecdsa", "256")

    def test_ecdsa_384_without_rfc7427(self):
        self.without_rfc7427("ecdsa", "384")

    def without_rfc7427(self, kind, size):
        def run(initiator):
            self.swan.options("signature_authentication = no")
            root = pki.Authority(self.folder(), kind=kind, size=size)
            self.connect(root.issue("bender"), root.issue("swan"), initiator)
            if kind == "ecdsa":
                self.assert_up()
                self.assertIn("ECDSA", self.swan.log())
            elif initiator == "bender":
                self.assert_refused("does not know signature authentication of RFC 7427")
            else:
                self.assert_refused("signs with RSA and SHA-1 (method 1), which is refused")

        self.both_ways(run)

    def test_rsa_without_rfc7427_is_refused_by_name(self):
        self.without_rfc7427("rsa", "2048")

    def chain(self, depth, kind="ecdsa"):
        lowest = pki.Authority(self.folder(), kind=kind, size="256" if kind == "ecdsa" else "2048")
        for level in range(depth):
            lowest = pki.Authority(self.folder(), f"level{level}", lowest, kind, lowest.size)
        return lowest

    def test_one_intermediate(self):
        def run(initiator):
            lowest = self.chain(1)
            self.connect(lowest.issue("bender"), lowest.issue("swan"), initiator)
            self.assert_up()

        self.both_ways(run)

    def test_two_intermediates_in_fragments(self):
        def run(initiator):
            lowest = self.chain(2, "rsa")
            self.connect(lowest.issue("bender"), lowest.issue("swan"), initiator)
            self.assert_up()
            self.assertIn("IKE_AUTH request 1 [ EF(", self.swan.log())

        self.both_ways(run)

    def test_the_intermediate_comes_from_x509ca(self):
        lowest = self.chain(1)
        ours = lowest.issue("bender")
        self.connect(ours, lowest.issue("swan"), "bender",
                     our_anchors=[lowest.root().certificate, lowest.certificate])
        self.bender.write("x509/bender.pem", pki.read(ours.certificate))
        self.assert_up()

    def test_two_certificates_and_two_cas(self):
        """charon asks for its CA; the certificate below that one is sent, though it is the second."""
        def run(initiator):
            first = pki.Authority(self.folder())
            second = pki.Authority(os.path.join(self.lab.folder, "second"), "second")
            ours = first.issue("bender")
            new = second.issue("bender")
            self.bender.write("private/bender.new.pem", pki.read(new.key))
            self.bender.write("x509/bender.new.pem", pki.read(new.certificate))
            self.connect(ours, second.issue("swan"), initiator, their_anchors=[second.certificate])
            self.assert_up()

        self.both_ways(run)

    def give_list(self, crl):
        self.bender.write(f"x509crl/{os.path.basename(crl)}", pki.read(crl))

    def test_a_revoked_peer_is_refused(self):
        def run(initiator):
            root = pki.Authority(self.folder())
            theirs = root.issue("swan")
            self.give_list(root.revoke(theirs))
            self.connect(root.issue("bender"), theirs, initiator)
            self.assert_refused("'CN=swan,O=Lab,C=DE' is refused: it was revoked by 'CN=root,O=Lab,C=DE'",
                                "its key was compromised")

        self.both_ways(run)

    def test_charon_refuses_us_revoked(self):
        def run(initiator):
            root = pki.Authority(self.folder())
            ours = root.issue("bender")
            os.makedirs(f"{self.swan.folder}/x509crl")
            shutil.copy(root.revoke(ours), f"{self.swan.folder}/x509crl/root.pem")
            self.connect(ours, root.issue("swan"), initiator)
            self.assert_refused("refused our authentication" if initiator == "bender" else
                                "the peer did not accept our authentication")

        self.both_ways(run)

    def test_a_peer_revoked_later_is_closed_by_the_reload(self):
        def run(initiator):
            root = pki.Authority(self.folder())
            theirs = root.issue("swan")
            self.connect(root.issue("bender"), theirs, initiator)
            self.assert_up()
            self.give_list(root.revoke(theirs))
            self.bender.espalier("reload")
            self.assert_refused_later("the IKE SA is closed: the peer's certificate with the serial number")

        self.both_ways(run)

    def assert_refused_later(self, words):
        lib.wait_for(words, lambda: words in self.bender.daemon.log(), 10)
        lib.wait_for("charon saw the Delete", lambda: self.swan.sas()[1] == [], 10)
        self.assertNotEqual(self.bender.pair("swan")["state"], "up")

    def test_strict_with_lists_in_force_and_without(self):
        def run(initiator):
            root = pki.Authority(self.folder())
            if initiator == "bender":
                self.give_list(root.revoke())
            self.connect(root.issue("bender"), root.issue("swan"), initiator, settings=", revocation: strict")
            if initiator == "bender":
                self.assert_up()
            else:
                self.assert_refused("there is no revocation list of its issuer 'CN=root,O=Lab,C=DE'")

        self.both_ways(run)

    def test_a_wrong_ca(self):
        def run(initiator):
            root = pki.Authority(self.folder())
            other = pki.Authority(os.path.join(self.lab.folder, "other"), "other")
            self.connect(root.issue("bender"), other.issue("swan"), initiator, our_anchors=[root.certificate],
                         their_anchors=[root.certificate])
            self.assert_refused("'CN=other,O=Lab,C=DE' is neither one of our CAs")

        self.both_ways(run)

    def test_an_expired_peer(self):
        def run(initiator):
            root = pki.Authority(self.folder())
            self.connect(root.issue("bender"), root.issue("swan", words=LONG_AGO), initiator)
            self.assert_refused("it was valid until 2021-01-01")

        # charon does not use an expired certificate of its own, so that it never gets here as initiator.
        run("bender")

    def test_an_expired_certificate_of_our_own_is_said_at_the_start(self):
        root = pki.Authority(self.folder())
        self.connect(root.issue("bender", words=LONG_AGO), root.issue("swan"), "bender")
        self.assert_refused("x509/bender.pem: the certificate 'CN=bender,O=Lab,C=DE' was valid until 2021-01-01")


if __name__ == "__main__":
    lib.need_root()
    strongswan.need_strongswan()
    unittest.main(verbosity=2)
