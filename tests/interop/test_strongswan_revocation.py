#!/usr/bin/env python3
"""espalierd and strongSwan with revocation over HTTP: each asks a server and a responder about the other."""
import os
import unittest

import auth_case
import strongswan
from strongswan import lib

import openssl_pki

LIST, RESPONDER = "http://10.77.0.80:8080/list.crl", "http://10.77.0.80:8081/"
STRICT = {"settings": ", revocation: strict", "remote_more": "revocation = strict"}


class Issued:
    """A certificate of openssl_pki in the form that auth_case takes."""

    def __init__(self, ca, name):
        ca.issue(name)
        self.key, self.certificate = ca.path(f"{name}.key"), ca.path(f"{name}.pem")
        self.authority = Root(ca.path("root.pem"))

    def bundle(self):
        return openssl_pki.read(self.certificate)


class Root:
    def __init__(self, certificate):
        self.certificate = certificate

    def root(self):
        return self

    def intermediates(self):
        return []


class Revocation(auth_case.AuthCase):
    HOSTS = {**auth_case.HOSTS, "web": ["10.77.0.80/24"]}

    def both_ways(self, run, **where):
        for initiator in ("bender", "swan"):
            with self.subTest(initiator=initiator):
                self.open_lab()
                # The plugin that fetches.
                self.swan.daemon_conf = self.swan.daemon_conf.replace("revocation socket", "revocation curl socket")
                self.swan.put("strongswan.conf", self.swan.daemon_conf)
                ca = openssl_pki.Authority(os.path.join(self.lab.folder, "ca"), **where)
                run(ca, Issued(ca, "bender"), Issued(ca, "swan"), initiator)
                self.close_lab()

    def serve(self, ca):
        ca.publish()
        ca.serve(self.lab["web"])
        ca.respond(self.lab["web"])

    def test_lists(self):
        def run(ca, ours, theirs, initiator):
            self.serve(ca)
            self.connect(ours, theirs, initiator, **STRICT)
            self.assert_up()
            self.assertIn("certificate status is good", self.swan.log())
            self.assertIn(f"from {LIST} is in force until", self.bender.daemon.log())

        self.both_ways(run, crl=LIST)

    def test_ocsp(self):
        def run(ca, ours, theirs, initiator):
            self.serve(ca)
            self.connect(ours, theirs, initiator, **STRICT)
            self.assert_up()
            self.assertIn("ocsp response correctly signed by", self.swan.log())
            self.assertIn("certificate status is good", self.swan.log())

        self.both_ways(run, ocsp=RESPONDER)

    def test_lists_that_revoke_swan(self):
        def run(ca, ours, theirs, initiator):
            ca.revoke("swan")
            self.serve(ca)
            self.connect(ours, theirs, initiator)
            self.assert_refused("'CN=swan,O=Lab' is refused: it was revoked by 'CN=root,O=Lab'")

        self.both_ways(run, crl=LIST)

    def test_ocsp_that_revokes_swan(self):
        def run(ca, ours, theirs, initiator):
            ca.revoke("swan")
            self.serve(ca)
            self.connect(ours, theirs, initiator)
            self.assert_refused("says the OCSP responder 'CN=responder,O=Lab'")

        self.both_ways(run, ocsp=RESPONDER)

    def test_ocsp_that_revokes_us(self):
        def run(ca, ours, theirs, initiator):
            ca.revoke("bender")
            self.serve(ca)
            self.connect(ours, theirs, initiator, **STRICT)
            self.assert_refused("x509/bender.pem: the certificate 'CN=bender,O=Lab' was revoked")
            lib.wait_for("charon refuses us", lambda: "certificate was revoked on" in self.swan.log(), 15)

        self.both_ways(run, ocsp=RESPONDER)

    def test_swan_revoked_while_it_is_up(self):
        def run(ca, ours, theirs, initiator):
            self.serve(ca)
            self.connect(ours, theirs, initiator, **STRICT)
            self.assert_up()
            ca.revoke("swan")
            ca.publish()
            words = "the IKE SA is closed: the peer's certificate with the serial number"
            lib.wait_for(words, lambda: words in self.bender.daemon.log(), 40)
            lib.wait_for("charon saw the Delete", lambda: self.swan.sas()[1] == [], 10)

        self.both_ways(run, crl=LIST)


if __name__ == "__main__":
    lib.need_root()
    strongswan.need_strongswan()
    unittest.main(verbosity=2)
