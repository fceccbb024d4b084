#!/usr/bin/env python3
"""espalierd and libreswan 4.10 with a kernel's ESP (the lab kernel): keys, certificates and post-quantum keys, suites and
groups, rekeys and deletes from either side, narrowing, fragments, restarts and crashes of either end. One boot."""
import os
import signal
import time
import unittest

import libreswan
import strongswan
from libreswan import guest, lib

SECRET = "0sZXNwYWxpZXIgYW5kIGxpYnJlc3dhbiwgYSBsb25nIHNlY3JldA=="
PPK = "0sMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER_PPK = "0sZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
MESH = """mesh: interop
defaults: {{auth: {auth}, dpd: 5s, proposals: {{ike: {ike}, esp: {esp}}}{settings}}}
hosts:
  bender: {{address: 10.77.0.1, subnets: ["10.1.0.0/24"]}}
foreign:
  attic: {{address: 10.77.0.9, start: {start}{peer}}}
"""
ADDRESS = ', local_subnets: ["10.77.0.1/32"]'  # bender's network is for the tests of selectors
IKE, ESP = "aes256gcm16-prfsha384-x25519", "aes256gcm16-x25519"
THEIR_IKE, THEIR_ESP = "aes_gcm256-sha2_384-dh31", "aes_gcm256-null-dh31"
# Ours, theirs (IKE), ours, theirs (ESP), their esn=.
SUITES = [
    (IKE, THEIR_IKE, "aes256gcm16-x25519-esn", THEIR_ESP, "yes"),
    ("aes128gcm16-prfsha256-ecp256", "aes_gcm128-sha2_256-dh19", "aes128gcm16-ecp256-noesn", "aes_gcm128-null-dh19", "no"),
    ("aes256gcm16-prfsha512-ecp384", "aes_gcm256-sha2_512-dh20", "chacha20poly1305-ecp384-esn", "chacha20_poly1305-null-dh20", "either"),
    ("aes256-sha384-modp3072", "aes256-sha2_384-dh15", "aes256-sha384-modp3072-noesn", "aes256-sha2_384-dh15", "either"),
    ("aes128-sha256-modp2048", "aes128-sha2_256-dh14", "aes128-sha256-modp2048-esn", "aes128-sha2_256-dh14", "yes"),
    ("aes256-sha512-ecp384", "aes256-sha2_512-dh20", "aes256-sha512-ecp384", "aes256-sha2_512-dh20", "no"),
    ("aes256-sha512-ecp256", "aes256-sha2_512-dh19", "aes256gcm16", "aes_gcm256-null", "either\n  pfs=no"),
]
lab = bender = attic = pluto = None


def setUpModule():
    global lab, bender, attic, pluto  # one boot for all of it
    lab = lib.Lab({"bender": ["10.77.0.1/24"]}, {"bender": ["10.1.0.0/24"]})
    bender = lab["bender"]
    machine = guest.Guest(lab)
    unittest.addModuleCleanup(lab.close)
    unittest.addModuleCleanup(machine.close)
    attic = guest.GuestHost(machine, "attic", ["10.77.0.9/24"], ["10.9.0.0/24"])
    attic.ip("route", "add", "10.1.0.0/24", "via", "10.77.0.1")  # libreswan makes policies, not routes
    pluto = libreswan.Pluto(attic)
    print(f"boot: {machine.boot_seconds:.1f} s, Linux {machine.release}", flush=True)


class Bed(unittest.TestCase):
    def setUp(self):
        self.started = time.monotonic()

    def tearDown(self):
        if bender.daemon:
            bender.daemon.stop()
            bender.daemon = None
        bender.espalier("teardown", check=False)
        pluto.reset()
        print(f"({time.monotonic() - self.started:.1f} s) ", end="", flush=True)

    def prepare(self, initiator, ike=IKE, esp=ESP, their_ike=THEIR_IKE, their_esp=THEIR_ESP, auth="psk", settings="", peer=ADDRESS,
                their_auth=("authby=secret",), more=(), secrets="", setup=(), secret=True, **ids):
        self.initiator = initiator
        bender.write("private/attic.secret", SECRET + "\n")
        bender.write("private/mesh.secret", lib.new_secret() + "\n")
        if auth == "psk" and secret:
            peer = ', secret: "file:attic.secret"' + peer
            secrets += f"@bender @attic : PSK {SECRET}\n"
        bender.write("mesh.yaml", MESH.format(auth=auth, ike=ike, esp=esp, settings=settings, peer=peer,
                                              start="now" if initiator == "bender" else "none"), 0o644)
        pluto.configure("bender", "10.77.0.1", their_ike, their_esp, their_auth, more, secrets, setup, **ids)
        pluto.start()
        bender.start()
        self.wait("espalierd answers", bender.status, 15)

    def bring_up(self, initiator, **settings):
        self.prepare(initiator, **settings)
        if initiator == "attic":
            pluto.initiate()
        self.wait_up()

    def logs(self):
        return f"\n--- espalierd\n{bender.daemon.log()[-3500:]}\n--- pluto\n{pluto.log()[-5000:]}"

    def wait(self, what, condition, timeout):
        start = time.monotonic()
        try:
            lib.wait_for(what, condition, timeout)
        except lib.LabError as error:
            raise AssertionError(f"{error}{self.logs()}") from None
        return time.monotonic() - start

    def up(self):
        return (bender.pair("attic") or {}).get("state") == "up" and pluto.states()[1] > 0

    def wait_up(self, timeout=40):
        return self.wait("the pair is up on both ends", self.up, timeout)

    def assert_traffic(self):
        self.assertEqual(bender.ping("10.77.0.9", 5, interval=0.05), 5, "host to host" + self.logs())
        self.assertEqual(attic.ping("10.77.0.1", 5, interval=0.05), 5, "host to host, the other way" + self.logs())

    def assert_agreement(self, ike=1):
        """The kernel's SAs there are our daemon's, and pluto has that number of IKE SAs at the most."""
        def same():
            ours = bender.spis("attic")
            to_them, from_them = attic.esp_spis()
            states = pluto.states()
            return (ours and {int(o, 16) for _, o in ours[2]} == to_them and {int(i, 16) for i, _ in ours[2]} == from_them
                    and 1 <= states[0] <= ike and states[1] == len(ours[2]))

        self.wait("both ends have the same SAs", same, 15)

    def rekey(self, who, ike):
        before = bender.spis("attic")
        if who == "bender":
            bender.espalier("rekey", "attic", *(["--ike"] if ike else []))
        else:
            pluto.rekey(ike)
        part = 0 if ike else 2
        self.wait(f"new SPIs ({who} rekeys the {'IKE SA' if ike else 'child'})",
                  lambda: (bender.spis("attic") or before)[part] != before[part], 15)
        self.assert_agreement()

    def assert_rekeys(self):
        pinging = bender.spawn(lib.ping_command("10.77.0.9", 100, 0.05, lib.FLOW), f"ping.{time.monotonic()}.log")
        for who, ike in (("bender", False), ("attic", False), ("bender", True), ("attic", True), ("bender", False)):
            self.rekey(who, ike)
        pinging.popen.wait(90)
        self.assertEqual(lib.answered(pinging.log(), 100), 100, "a rekey lost packets" + self.logs())


class Keys(Bed):
    def test_espalier_starts(self):
        self.bring_up("bender")
        self.assert_traffic()
        self.assert_agreement()
        self.assert_rekeys()
        bender.espalier("down", "attic")
        self.wait("libreswan saw the delete", lambda: pluto.states() == (0, 0), 10)
        self.assertEqual(bender.ping("10.77.0.9", 2, timeout=1), 0, "closed when down")
        bender.espalier("up", "attic")
        self.wait_up()
        self.assert_traffic()

    def test_libreswan_starts(self):
        self.bring_up("attic")
        self.assert_traffic()
        self.assert_agreement()
        self.assert_rekeys()
        pluto.terminate()
        self.wait("espalierd saw the delete", lambda: bender.spis("attic") is None, 10)
        pluto.initiate()
        self.wait_up()
        self.assert_traffic()

    def test_suites_and_groups(self):
        for number, (ike, their_ike, esp, their_esp, esn) in enumerate(SUITES):
            initiator = ("bender", "attic")[number % 2]
            with self.subTest(ike=ike, esp=esp, initiator=initiator):
                try:
                    self.bring_up(initiator, ike=ike, their_ike=their_ike, esp=esp, their_esp=their_esp, more=[f"esn={esn}"])
                    self.assert_traffic()
                    self.rekey("bender", False)
                    self.rekey("attic", True)
                    self.assert_traffic()
                finally:
                    self.tearDown()

    def test_a_wrong_secret_is_refused_and_said(self):
        self.prepare("bender", secrets='@bender @attic : PSK "another secret, quite as long"\n')
        bender.write("private/attic.secret", "0s" + SECRET[2:].swapcase() + "\n")
        bender.espalier("reload", check=False)
        reason = lib.wait_for("a reason", lambda: (bender.pair("attic") or {}).get("reason"), 40)
        self.assertIn("uthenti", reason)
        self.assertEqual(bender.ping("10.77.0.9", 1, timeout=1), 0)


def give_certificates(name, kind, size):
    """Both ends have one of a new authority, and its own."""
    authority = strongswan.Authority(f"{lab.folder}/ca-{name}", kind, size)
    key, certificate = authority.issue("bender")
    for source, target in ((key, "private/bender.pem"), (certificate, "x509/bender.pem"),
                           (authority.certificate, "x509ca/ca.pem")):
        with open(source, encoding="ascii") as file:
            bender.write(target, file.read())
    pluto.new_store()
    pluto.give_certificate(*authority.issue("attic"), authority.certificate)


class Certificates(Bed):
    def with_certificates(self, initiator, kind, size, authby, **settings):
        give_certificates(f"{kind}-{size}-{initiator}", kind, size)
        self.bring_up(initiator, auth="cert", their_auth=[f"authby={authby}", "leftcert=own", "leftsendcert=always"], **settings)
        self.assert_traffic()
        self.assert_agreement()

    def test_rsa_espalier_starts(self):
        self.with_certificates("bender", "rsa", "2048", "rsasig")

    def test_rsa_libreswan_starts(self):
        self.with_certificates("attic", "rsa", "3072", "rsasig")

    def test_ecdsa_espalier_starts(self):
        self.with_certificates("bender", "ecdsa", "256", "ecdsa")

    def test_ecdsa_libreswan_starts(self):
        self.with_certificates("attic", "ecdsa", "384", "ecdsa")

    def test_fragments_both_ways(self):
        # RFC 7383: pluto fragments at once when forced to; its RSA certificate needs three, ours two.
        wire = lib.Wire(lab)
        self.with_certificates("attic", "rsa", "3072", "rsasig", more=["fragmentation=force"])
        kinds = {(p.src, p.payload[12 + 16]) for p in wire.stop() if p.sport == p.dport == 4500 and p.payload[8:12] == bytes(4)}
        self.assertIn(("10.77.0.1", 53), kinds, "SKF from espalierd")
        self.assertIn(("10.77.0.9", 53), kinds, "SKF from pluto")


class PostQuantum(Bed):
    """RFC 8784."""

    def start(self, initiator, ours, required, theirs, policy):
        bender.write("private/pq.secret", ours + "\n")
        self.prepare(initiator, settings=f', ppk: {{id: fleet, secret: "file:pq.secret", required: {required}}}',
                     secrets=f'@bender @attic : PPKS "fleet" {theirs}\n' if theirs else "", more=[f"ppk={policy}"])
        if initiator == "attic":
            pluto.initiate()

    def test_required_espalier_starts(self):
        self.start("bender", PPK, "on", PPK, "insist")
        self.wait_up()
        self.assert_traffic()
        self.assertIn("with a post-quantum key", bender.daemon.log())
        self.assert_rekeys()

    def test_required_libreswan_starts(self):
        self.start("attic", PPK, "on", PPK, "insist")
        self.wait_up()
        self.assert_traffic()
        self.assertIn("with a post-quantum key", bender.daemon.log())
        self.assert_rekeys()

    def test_optional_where_libreswan_has_none(self):
        self.start("bender", PPK, "off", None, "no")
        self.wait_up()
        self.assert_traffic()
        self.assertNotIn("with a post-quantum key", bender.daemon.log())

    def test_another_key_is_refused(self):
        self.start("bender", PPK, "on", OTHER_PPK, "insist")
        lib.wait_for("a reason", lambda: (bender.pair("attic") or {}).get("reason"), 30)
        self.assertEqual(bender.ping("10.77.0.9", 1, timeout=1), 0)


class NullAuthentication(Bed):
    """One end, or both, do not prove who they are (RFC 7619). libreswan takes that beside certificates, not beside secrets."""

    def both(self, initiator):
        self.bring_up(initiator, secret=False, peer=f"{ADDRESS}, null_auth: both", their_auth=["authby=null"], own_id="%null",
                      peer_id="%null")

    def one(self, initiator, anonymous):
        give_certificates(f"null-{initiator}-{anonymous}", "rsa", "2048")
        proves = "leftauth=rsasig", "leftcert=own", "leftsendcert=always", "rightauth=null"
        trusts = "leftauth=null", "rightauth=rsasig", "rightca=%any"
        self.bring_up(initiator, auth="cert", peer=f"{ADDRESS}, null_auth: {anonymous}",
                      their_auth=proves if anonymous == "local" else trusts,
                      **{"peer_id" if anonymous == "local" else "own_id": "%null"})

    def works(self):
        self.assert_traffic()
        self.assert_agreement()
        self.rekey("bender", False)
        self.rekey("attic", True)
        self.assert_traffic()

    def test_both_espalier_starts(self):
        self.both("bender")
        self.works()

    def test_both_libreswan_starts(self):
        self.both("attic")
        self.works()

    def test_libreswan_alone_espalier_starts(self):
        self.one("bender", "remote")
        self.works()

    def test_libreswan_alone_and_starts(self):
        self.one("attic", "remote")
        self.works()

    def test_espalier_alone_and_starts(self):
        self.one("bender", "local")
        self.works()

    def test_espalier_alone_libreswan_starts(self):
        self.one("attic", "local")
        self.works()


class Selectors(Bed):
    def test_narrowed_by_libreswan(self):
        # We offer our address and our network; it wants its /24 and our /24 only (RFC 7296 section 2.9).
        self.bring_up("bender", peer=', subnets: ["10.9.0.0/24"]',
                      more=["leftsubnet=10.9.0.0/24", "rightsubnet=10.1.0.0/24", "narrowing=yes"])
        self.assertEqual(bender.ping("10.9.0.1", 5, source="10.1.0.1"), 5, self.logs())
        self.assertEqual(attic.ping("10.1.0.1", 5, source="10.9.0.1"), 5, self.logs())
        self.rekey("attic", False)
        self.rekey("bender", False)
        self.assertEqual(bender.ping("10.9.0.1", 5, source="10.1.0.1"), 5, self.logs())

    def test_narrowed_by_us(self):
        # It offers more than we have.
        self.bring_up("attic", peer=', subnets: ["10.9.0.0/24"]',
                      more=["leftsubnet=10.9.0.0/16", "rightsubnet=10.1.0.0/16", "narrowing=yes"])
        self.assertEqual(bender.ping("10.9.0.1", 5, source="10.1.0.1"), 5, self.logs())
        self.assertEqual(attic.ping("10.1.0.1", 5, source="10.9.0.1"), 5, self.logs())


class Recovery(Bed):
    more = ["dpddelay=5s", "dpdaction=hold"]

    def recovers(self, what, timeout=60):
        seconds = self.wait(f"packets pass again after {what}", lambda: bender.ping("10.77.0.9", 1, timeout=1) == 1, timeout)
        self.wait_up()
        # pluto keeps an IKE SA that it had with a crashed peer, without children, until it would rekey it: it does
        # not take INITIAL_CONTACT (RFC 7296 section 2.4) for the end of it.
        self.assert_agreement(ike=2)
        self.assert_traffic()
        print(f"packets pass {seconds:.1f} s after {what}; ", end="", flush=True)

    def restart_pluto(self, how):
        pluto.stop(how)
        attic.guest.check("sh", "-c", f"rm -f {attic.inner}/*")

    def test_either_end_restarts_and_crashes(self):
        self.bring_up("bender", more=self.more)
        self.assert_traffic()
        for how, name in ((signal.SIGTERM, "a restart"), (signal.SIGKILL, "a crash")):
            bender.daemon.stop(how)
            bender.start()
            self.recovers(f"{name} of espalierd")
        self.restart_pluto(signal.SIGTERM)
        pluto.start()
        self.recovers("a restart of pluto")
        # A host that reboots: the kernel's SAs are gone as well, and nobody says goodbye.
        self.restart_pluto(signal.SIGKILL)
        for what in ("state", "policy"):
            attic.ip("xfrm", what, "flush")
        pluto.start()
        self.recovers("a reboot of pluto's host")

    @unittest.skipUnless(os.environ.get("ESPALIER_LONG"), "takes a minute: ./run test --long")
    def test_pluto_crashes_and_its_kernel_goes_on(self):
        """What pluto left in its kernel still carries the packets, so that nothing looks dead; the first request that it
        does not answer ends that, and no packet is lost before."""
        self.bring_up("bender", more=self.more)
        self.restart_pluto(signal.SIGKILL)
        pluto.start()
        self.assert_traffic()
        before = bender.spis("attic")
        bender.espalier("rekey", "attic", check=False)
        self.wait("another IKE SA", lambda: (bender.spis("attic") or before)[0] != before[0], 60)
        self.recovers("a crash of pluto")


if __name__ == "__main__":
    lib.need_root()
    strongswan.need_strongswan()
    libreswan.need_libreswan()
    guest.need_kernel()
    unittest.main(verbosity=2)
