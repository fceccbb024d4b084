#!/usr/bin/env python3
"""Revocation over HTTP: lists from distribution points and OCSP, real servers, two espalierd."""
import os
import unittest

import lib
import openssl_pki

HOSTS = {"bender": ["10.77.0.1/24"], "flexo": ["10.77.0.2/24"], "web": ["10.77.0.80/24"]}
MESH = """mesh: revocation
defaults: {{auth: cert, revocation: {policy}}}
hosts:
  bender: {{address: 10.77.0.1}}
  flexo: {{address: 10.77.0.2}}
"""
LIST, RESPONDER = "http://10.77.0.80:8080/list.crl", "http://10.77.0.80:8081/"


class Revocation(unittest.TestCase):
    def setUp(self):
        self.lab = lib.Lab(HOSTS)
        self.addCleanup(self.lab.close)
        self.bender, self.flexo, self.web = (self.lab[name] for name in HOSTS)

    def authority(self, **where):
        ca = openssl_pki.Authority(os.path.join(self.lab.folder, "ca"), **where)
        for host in (self.bender, self.flexo):
            ca.issue(host.name)
            ca.give(host)
        ca.publish()
        return ca

    def start(self, policy):
        for host in (self.bender, self.flexo):
            host.write("mesh.yaml", MESH.format(policy=policy), 0o644)
            host.start()

    def wait_up(self):
        self.lab.wait_up(30, 1, ["bender", "flexo"])
        self.assertEqual(self.bender.ping("10.77.0.2", 2), 2)

    def wait_log(self, host, *words, timeout=30):
        for word in words:
            try:
                lib.wait_for(f"{host.name} says {word}", lambda w=word: w in host.daemon.log(), timeout)
            except lib.LabError as error:
                raise AssertionError(f"{error}\n{host.daemon.log()[-4000:]}") from None

    def assert_closed_and_refused(self, how):
        """bender closed it and refuses flexo by name; flexo knows that it is its own certificate."""
        self.wait_log(self.bender, "the IKE SA is closed: the peer's certificate with the serial number", how,
                      "the certificate 'CN=flexo,O=Lab' is refused: it was revoked")
        self.wait_log(self.flexo, "x509/flexo.pem: the certificate 'CN=flexo,O=Lab' was revoked")
        pair = self.bender.pair("flexo")
        self.assertNotEqual(pair["state"], "up")
        lib.wait_for("bender's status says why",
                     lambda: "'CN=flexo,O=Lab' is refused: it was revoked" in (self.bender.pair("flexo")["reason"]
                                                                               or ""), 30)
        lib.wait_for("flexo's status says that it is refused",
                     lambda: "refused" in (self.flexo.pair("bender")["reason"] or ""), 30)
        states = [c["state"] for c in self.flexo.status()["certificates"] if c["kind"] == "own"]
        self.assertIn("revoked", states)
        self.assertEqual(self.bender.ping("10.77.0.2", 1, 1), 0)

    def test_a_list_that_revokes_later(self):
        ca = self.authority(crl=LIST)
        ca.serve(self.web)
        self.start("strict")
        self.wait_up()
        self.wait_log(self.bender, f"the revocation list of 'CN=root,O=Lab' from {LIST} is in force until")
        ca.revoke("flexo")
        ca.publish()
        self.assert_closed_and_refused("was revoked by 'CN=root,O=Lab'")

    def test_a_reload_asks_at_once(self):
        ca = self.authority(crl=LIST)
        ca.publish(86400)
        ca.serve(self.web)
        self.start("ifuri")
        self.wait_up()
        ca.revoke("flexo")
        ca.publish(86400)
        for host in (self.bender, self.flexo):
            host.espalier("reload")
        self.assert_closed_and_refused("was revoked by 'CN=root,O=Lab'")

    def test_ocsp(self):
        ca = self.authority(ocsp=RESPONDER)
        responder = ca.respond(self.web)
        self.start("strict")
        self.wait_up()
        # What each has of itself goes along in IKE_AUTH: they come up again without the responder.
        responder.stop()
        self.bender.espalier("down", "flexo")
        self.bender.espalier("up", "flexo")
        self.wait_up()
        ca.revoke("flexo")
        ca.respond(self.web)
        self.assert_closed_and_refused("says the OCSP responder 'CN=responder,O=Lab'")

    def test_certificates_near_their_end(self):
        """Each end says it of its own and of the other's, in the log and in status; check says it of the file's."""
        ca = self.authority()
        ca.issue("bender", dates=(-60, 3.5))
        ca.give(self.bender)
        self.start("relaxed")
        self.wait_up()
        own = "x509/bender.pem: the certificate 'CN=bender,O=Lab' is valid only until"
        self.wait_log(self.bender, own, "for 3 days more: issue a new one")
        self.wait_log(self.flexo, "flexo-bender: the certificate 'CN=bender,O=Lab' is valid only until", timeout=70)
        for host, kind, where in ((self.bender, "own", "x509/bender.pem"), (self.flexo, "peer", "flexo-bender")):
            found = [c for c in host.status()["certificates"] if c["kind"] == kind]
            self.assertEqual([(c["where"], c["state"]) for c in found], [(where, "urgent")])
        self.assertIn("warning: " + own, self.bender.espalier("status").stdout)
        self.assertEqual(self.bender.pair("flexo")["ike"]["certificate"]["subject"], "CN=flexo,O=Lab")
        checked = self.bender.espalier("check", f"{self.bender.config}/mesh.yaml", "--self", "bender").stdout
        self.assertIn("warning: " + own, checked)

    def test_nobody_answers(self):
        self.authority(crl=LIST)
        self.start("relaxed")
        self.wait_up()
        self.wait_log(self.bender, f"the revocation list of 'CN=root,O=Lab' could not be had from {LIST}: no "
                                   "connection: Connection refused")

    def test_nobody_answers_and_the_policy_is_strict(self):
        ca = self.authority(crl=LIST)
        self.start("strict")
        self.wait_log(self.bender, f"its status could not be had from {LIST}", "(revocation: strict)")
        self.assertNotEqual(self.bender.pair("flexo")["state"], "up")
        # It heals by itself when the server comes back.
        ca.serve(self.web)
        self.lab.wait_up(90, 1, ["bender", "flexo"])

    def test_the_list_outlives_the_daemon_and_the_server(self):
        ca = self.authority(crl=LIST)
        ca.revoke("flexo")
        ca.publish(86400)
        server = ca.serve(self.web)
        self.start("relaxed")
        self.wait_log(self.bender, "'CN=flexo,O=Lab' is refused: it was revoked by 'CN=root,O=Lab'")
        server.stop()
        self.bender.daemon.stop()
        self.bender.start()
        lib.wait_for("refused again", lambda: self.bender.daemon.log().count("is refused: it was revoked by") > 2, 30)
        self.assertNotEqual(self.bender.pair("flexo")["state"], "up")


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
