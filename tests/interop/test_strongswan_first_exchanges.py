#!/usr/bin/env python3
"""How the first exchanges may go, with strongSwan: IKE SAs without a child (RFC 6023), redirects (RFC 5685) from
either side, additional key exchanges and session tickets offered to a peer that has neither."""
import unittest

import strongswan
import test_strongswan
from strongswan import lib

IKE, ESP = "aes256gcm16-prfsha384-x25519", "aes256gcm16-x25519"
TWO_SWANS = ["10.77.0.9/24", "10.77.0.8/24"]
TWO_BENDERS = "10.77.0.1, 10.77.0.2"


class Childless(test_strongswan.Bed):
    def up(self, initiator, ours, theirs, childless=True):
        self.bring_up(initiator, IKE, ESP, ours=f"    childless: {ours}\n    proposals: {{esp: {ESP}}}\n",
                      more=f"childless = {theirs}")
        self.assert_agreement()
        self.assert_traffic()
        self.assertEqual("CREATE_CHILD_SA" in self.swan.log(), childless, self.swan.log()[-2000:])

    def test_espalier_starts(self):
        for ours, theirs, childless in (("prefer", "allow", True), ("force", "force", True), ("prefer", "never", False)):
            with self.subTest(ours=ours, theirs=theirs):
                self.up("bender", ours, theirs, childless)
                self.doCleanups()

    def test_strongswan_starts(self):
        for ours, theirs in (("allow", "force"), ("force", "force")):
            with self.subTest(ours=ours, theirs=theirs):
                self.up("swan", ours, theirs)
                self.doCleanups()

    def test_rekeys(self):
        self.up("bender", "force", "force")
        self.assert_rekeys()

    def test_forced_and_not_there(self):
        self.prepare("bender", IKE, ESP, ours="    childless: force\n", more="childless = never")
        lib.wait_for("a reason", lambda: "'childless: force'" in self.bender.daemon.log(), 30)
        self.assertEqual(self.swan.sas(), ([], []))


class Redirect(test_strongswan.Bed):
    def is_at(self, address):
        pair = self.bender.pair("swan") or {}
        return pair.get("state") == "up" and address in str(pair.get("ike", {}))

    def test_strongswan_sends_espalier_on(self):
        hosts = {**test_strongswan.HOSTS, "swan": TWO_SWANS}
        self.addCleanup(setattr, test_strongswan, "HOSTS", test_strongswan.HOSTS)
        test_strongswan.HOSTS = hosts
        self.bring_up("bender", IKE, ESP, ours="    redirect: {accept: 10.77.0.8}\n", local="10.77.0.9,10.77.0.8")
        self.swan.command("redirect", "--ike", "c", "--gateway", "10.77.0.8")
        lib.wait_for("the pair is up with the other address", lambda: self.is_at("10.77.0.8"), 30)
        lib.wait_for("the IKE SA with the first one is gone", lambda: len(self.swan.sas()[0]) == 1, 15)
        self.assert_agreement()

    def test_a_redirect_elsewhere_is_not_followed(self):
        self.bring_up("bender", IKE, ESP, ours="    redirect: {accept: 10.77.1.0/24}\n")
        self.swan.command("redirect", "--ike", "c", "--gateway", "10.77.0.8", check=False)
        lib.wait_for("a reason", lambda: "'accept' of 'redirect'" in self.bender.daemon.log(), 15)
        self.assertTrue(self.is_at("10.77.0.9"))
        self.assert_agreement()

    def send_on(self, when=""):
        self.addCleanup(setattr, test_strongswan, "MESH", test_strongswan.MESH)
        self.addCleanup(setattr, test_strongswan, "HOSTS", test_strongswan.HOSTS)
        test_strongswan.MESH = test_strongswan.MESH.replace("address: 10.77.0.1,", f"address: [{TWO_BENDERS}],")
        test_strongswan.HOSTS = {**test_strongswan.HOSTS, "bender": ["10.77.0.1/24", "10.77.0.2/24"]}
        redirect = f"    redirect: {{to: 10.77.0.2{when}}}\n" if when is not None else ""
        self.prepare("swan", IKE, ESP, ours=redirect)
        self.swan.initiate()

    def at_the_second(self):
        text = self.swan.command("list-sas").stdout
        return "10.77.0.2" in text and self.swan.sas()[1]

    def test_espalier_sends_strongswan_on_at_once(self):
        self.send_on()
        lib.wait_for("strongSwan is at the second address", self.at_the_second, 30)
        self.assertIn("redirected", self.swan.log())

    def test_espalier_sends_strongswan_on_later(self):
        self.send_on(None)
        lib.wait_for("up", lambda: self.swan.sas()[1], 30)
        self.swan.command("redirect", "--uri", f"unix://{self.bender.rundir}/vici.sock", "--ike", "bender-swan",
                          "--gateway", "10.77.0.2")
        lib.wait_for("strongSwan is at the second address", self.at_the_second, 30)


class WhatItLacks(test_strongswan.Bed):
    def test_additional_key_exchanges(self):
        """strongSwan has them from 6.0 on, and before refuses any proposal that names them: so a second one without
        comes behind. Required ones are named."""
        both = f"[aes256gcm16-prfsha384-x25519-ke1_ecp256, {IKE}]"
        self.bring_up("bender", IKE, ESP, ours=f"    proposals: {{ike: {both}, esp: {ESP}}}\n")
        self.assert_agreement()
        self.doCleanups()
        required = "aes256gcm16-prfsha384-x25519-ke1_ecp256"
        for initiator in ("bender", "swan"):
            self.prepare(initiator, IKE, ESP, ours=f"    proposals: {{ike: {required}, esp: {ESP}}}\n")
            if initiator == "swan":
                self.swan.initiate(check=False)
            lib.wait_for("a reason", lambda: "ke1_ecp256" in self.bender.daemon.log(), 30)
            self.assertEqual(self.swan.sas(), ([], []))
            self.doCleanups()

    def test_session_tickets(self):
        self.bring_up("bender", IKE, ESP, ours="    resumption: on\n")
        self.assert_agreement()
        self.assert_traffic()


if __name__ == "__main__":
    lib.need_root()
    strongswan.need_strongswan()
    unittest.main(verbosity=2)
