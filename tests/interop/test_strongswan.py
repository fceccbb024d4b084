#!/usr/bin/env python3
"""espalierd and strongSwan: keys and certificates, either side starts, traffic, rekeys from either side,
delete from either side."""
import shutil
import unittest

import strongswan
from strongswan import lib

HOSTS = {"bender": ["10.77.0.1/24"], "swan": ["10.77.0.9/24"]}
SUBNETS = {"bender": ["10.1.0.0/24"], "swan": ["10.9.0.0/24"]}
SECRET = "0sZXNwYWxpZXIgYW5kIHN0cm9uZ3N3YW4="

MESH = """mesh: interop
{defaults}hosts:
  bender: {{address: 10.77.0.1, subnets: ["10.1.0.0/24"]}}
foreign:
  swan:
    address: 10.77.0.9
    subnets: ["10.9.0.0/24"]
    start: {start}
{more}"""


class Bed(unittest.TestCase):
    """espalierd on bender, charon on swan."""
    files = {}
    retransmits = 4  # of charon

    def prepare(self, initiator, ike, esp, auth="psk", ours="", kind="ecdsa", size="256", theirs=SECRET,
                **connection):
        self.lab = lib.Lab(HOSTS, SUBNETS)
        self.addCleanup(self.lab.close)
        self.bender = self.lab["bender"]
        self.swan = strongswan.Swan(self.lab["swan"], self.retransmits)
        start = "now" if initiator == "bender" else "none"
        if auth == "psk":
            self.bender.write("private/swan.secret", SECRET + "\n")
            mesh = MESH.format(defaults="", start=start, more='    secret: "file:swan.secret"\n' + ours)
        else:
            authority = strongswan.Authority(f"{self.lab.folder}/ca", kind, size)
            key, certificate = authority.issue("bender")
            for source, target in ((key, "private/bender.pem"), (certificate, "x509/bender.pem"),
                                   (authority.certificate, "x509ca/ca.pem")):
                with open(source, encoding="ascii") as file:
                    self.bender.write(target, file.read())
            key, certificate = authority.issue("swan")
            shutil.copy(key, f"{self.swan.folder}/private/swan.pem")
            shutil.copy(certificate, f"{self.swan.folder}/x509/swan.pem")
            shutil.copy(authority.certificate, f"{self.swan.folder}/x509ca/ca.pem")
            mesh = MESH.format(defaults="defaults: {auth: cert}\n", start=start, more=ours)
        self.bender.write("private/mesh.secret", lib.new_secret() + "\n")
        self.bender.write("mesh.yaml", mesh, 0o644)
        self.swan.start()
        for path, text in self.files.items():
            self.bender.write(path, text)
        self.swan.load(self.bender, ike, esp, auth, theirs, **connection)
        self.bender.start()
        lib.wait_for("espalierd answers", self.bender.status, 15)

    def bring_up(self, initiator, *words, **settings):
        self.prepare(initiator, *words, **settings)
        if initiator == "swan":
            self.swan.initiate()
        self.wait_up()

    def wait_up(self):
        try:
            lib.wait_for("the pair is up on both ends",
                         lambda: (self.bender.pair("swan") or {}).get("state") == "up" and self.swan.sas()[1], 30)
        except lib.LabError as error:
            raise AssertionError(f"{error}\n--- espalierd\n{self.bender.daemon.log()[-3000:]}"
                                 f"\n--- charon\n{self.swan.log()[-3000:]}") from None

    def assert_traffic(self):
        bender, swan = self.bender, self.swan.host
        self.assertEqual(bender.ping("10.77.0.9", 5), 5, "host to host")
        self.assertEqual(swan.ping("10.77.0.1", 5), 5, "host to host, the other way")
        self.assertEqual(bender.ping("10.9.0.1", 5, source="10.1.0.1"), 5, "subnet to subnet")
        self.assertEqual(swan.ping("10.1.0.1", 5, source="10.9.0.1"), 5, "subnet to subnet, the other way")

    def assert_agreement(self):
        """One IKE SA and the same SPIs on both ends."""
        def same():
            ours, (ike, children) = self.bender.spis("swan"), self.swan.sas()
            return (ours and len(ike) == 1 and {ours[0], ours[1]} == set(ike[0])
                    and sorted((o, i) for i, o in ours[2]) == children)

        lib.wait_for("both ends have the same SAs", same, 10)

    def assert_rekeys(self):
        pinging = self.bender.spawn(lib.ping_command("10.77.0.9", 200, 0.05, lib.FLOW), "ping.log")
        for who, ike in (("bender", False), ("swan", False), ("bender", True), ("swan", True), ("bender", False)):
            before = self.bender.spis("swan")
            if who == "bender":
                self.bender.espalier("rekey", "swan", *(["--ike"] if ike else []))
            else:
                self.swan.rekey(ike)
            part = 0 if ike else 2
            lib.wait_for(f"new SPIs ({who} rekeys the {'IKE SA' if ike else 'child'})",
                         lambda: (self.bender.spis("swan") or before)[part] != before[part], 15)
            self.assert_agreement()
        pinging.popen.wait(90)
        self.assertEqual(lib.answered(pinging.log(), 200), 200, "a rekey lost packets")
        self.assert_traffic()


class Strongswan(Bed):
    def test_psk_espalier_starts(self):
        self.bring_up("bender", "aes256gcm16-prfsha384-x25519", "aes256gcm16")
        self.assert_traffic()
        self.assert_agreement()
        self.assert_rekeys()
        self.bender.espalier("down", "swan")
        lib.wait_for("strongSwan saw the delete", lambda: self.swan.sas() == ([], []), 10)
        self.assertEqual(self.bender.ping("10.77.0.9", 2, timeout=1), 0, "closed when down")
        self.bender.espalier("up", "swan")
        self.wait_up()
        self.assert_traffic()

    def test_psk_strongswan_starts(self):
        self.bring_up("swan", "chacha20poly1305-prfsha256-x25519", "chacha20poly1305",
                      ours="    proposals: {ike: chacha20poly1305-prfsha256-x25519, esp: chacha20poly1305}\n")
        self.assert_traffic()
        self.assert_agreement()
        self.assert_rekeys()
        self.swan.terminate()
        lib.wait_for("espalierd saw the delete", lambda: self.bender.spis("swan") is None, 10)
        self.swan.initiate()
        self.wait_up()
        self.assert_traffic()

    def test_psk_with_cbc_and_ecp384(self):
        self.bring_up("bender", "aes256-sha384-ecp384", "aes256-sha384",
                      ours="    proposals: {ike: aes256-sha384-ecp384, esp: aes256-sha384}\n")
        self.assert_traffic()
        self.assert_rekeys()

    def test_psk_with_modp(self):
        self.bring_up("swan", "aes128-sha256-modp2048", "aes128-sha256-modp2048",
                      ours="    proposals: {ike: aes128-sha256-modp2048, esp: aes128-sha256-modp2048}\n")
        self.assert_traffic()
        self.assert_rekeys()

    def test_strongswan_guesses_the_wrong_group(self):
        # INVALID_KE_PAYLOAD (RFC 7296 section 1.3): strongSwan sends a KE of its first group.
        self.bring_up("swan", "aes256gcm16-prfsha384-modp3072-x25519", "aes256gcm16",
                      ours="    proposals: {ike: aes256gcm16-prfsha384-x25519, esp: aes256gcm16}\n")
        self.assert_traffic()

    def test_a_wrong_secret_is_refused_and_said(self):
        self.prepare("bender", "aes256gcm16-prfsha384-x25519", "aes256gcm16", theirs="0sd3Jvbmcgd3Jvbmcgd3Jvbmc=")
        reason = lib.wait_for("a reason", lambda: (self.bender.pair("swan") or {}).get("reason"), 30)
        self.assertIn("uthenti", reason)
        self.assertEqual(self.swan.sas(), ([], []))
        self.assertEqual(self.bender.ping("10.77.0.9", 1, timeout=1), 0)

    def certificates(self, initiator, kind, size):
        self.bring_up(initiator, "aes256gcm16-prfsha384-x25519", "aes256gcm16", "cert", kind=kind, size=size)
        self.assert_traffic()
        self.assert_agreement()

    def test_ecdsa_certificates_espalier_starts(self):
        self.certificates("bender", "ecdsa", "256")
        self.assert_rekeys()

    def test_rsa_certificates_strongswan_starts(self):
        self.certificates("swan", "rsa", "3072")

    def test_rsa_certificates_espalier_starts(self):
        self.certificates("bender", "rsa", "2048")

    def test_ed25519_certificates_strongswan_starts(self):
        self.certificates("swan", "ed25519", "")

    def test_ecdsa_384_certificates_strongswan_starts(self):
        self.certificates("swan", "ecdsa", "384")


if __name__ == "__main__":
    lib.need_root()
    strongswan.need_strongswan()
    unittest.main(verbosity=2)
