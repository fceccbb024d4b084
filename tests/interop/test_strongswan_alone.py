#!/usr/bin/env python3
"""The other half alone: two charons of the test bed talk to each other, so that a failure of the interop
tests is not the test bed's."""
import shutil
import unittest

import strongswan
from strongswan import lib

HOSTS = {"swan": ["10.77.0.9/24"], "crane": ["10.77.0.8/24"]}
SUBNETS = {"swan": ["10.9.0.0/24"], "crane": ["10.8.0.0/24"]}


class StrongSwanAlone(unittest.TestCase):
    def check(self, auth, kind="ecdsa", size="256"):
        lab = lib.Lab(HOSTS, SUBNETS)
        self.addCleanup(lab.close)
        swans = {name: strongswan.Swan(host) for name, host in lab.hosts.items()}
        if auth == "cert":
            authority = strongswan.Authority(f"{lab.folder}/ca", kind, size)
            for name, swan in swans.items():
                key, certificate = authority.issue(name)
                shutil.copy(key, f"{swan.folder}/private/{name}.pem")
                shutil.copy(certificate, f"{swan.folder}/x509/{name}.pem")
                shutil.copy(authority.certificate, f"{swan.folder}/x509ca/ca.pem")
        for name, other in (("swan", "crane"), ("crane", "swan")):
            swans[name].start()
            swans[name].load(lab[other], "aes256-sha384-ecp384", "aes256gcm16", auth, "0sZXNwYWxpZXI=")
        swans["swan"].initiate()
        ike, children = swans["swan"].sas()
        self.assertEqual((len(ike), len(children)), (1, 1))
        self.assertEqual(lab["swan"].ping("10.8.0.1", 3, source="10.9.0.1"), 3)
        self.assertEqual(lab["crane"].ping("10.77.0.9", 3), 3, "between the outer addresses")
        swans["swan"].rekey()
        lib.wait_for("the child's new SPIs", lambda: swans["swan"].sas()[1] not in (children, []), 10)
        swans["crane"].rekey(ike=True)
        lib.wait_for("the IKE SA's new SPIs", lambda: swans["swan"].sas()[0] not in (ike, []), 10)
        swans["crane"].terminate()
        lib.wait_for("no SA is left", lambda: swans["swan"].sas() == ([], []), 10)

    def test_psk(self):
        self.check("psk")

    def test_certificates(self):
        for kind, size in (("ecdsa", "256"), ("rsa", "2048"), ("ed25519", "")):
            with self.subTest(kind=kind):
                self.check("cert", kind, size)
                self.doCleanups()


if __name__ == "__main__":
    lib.need_root()
    strongswan.need_strongswan()
    unittest.main(verbosity=2)
