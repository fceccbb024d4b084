#!/usr/bin/env python3
"""espalierd with the kernel's dataplane and OpenIKED 7.2, in one lab kernel: tunnel and transport mode, IPv4 and IPv6, each
end as initiator, rekeys from both sides under a flow, networks behind both, a wrong secret. Its PF_KEY has no ESN."""
import unittest

import openiked
from openiked import guest, lib
import nodes

SECRET = "espalier and openiked, a long secret"
OURS, THEIRS = {4: "10.0.0.1", 6: "2001:db8::1"}, {4: "10.0.0.9", 6: "2001:db8::9"}
INVENTORY = """mesh: interop
defaults: {{mode: {mode}, start: {start}, proposals: {{ike: aes256-sha256-x25519, esp: [{esp}]}}{more}}}
hosts:
  bender: {{address: "{ours}"{subnets}}}
foreign:
  attic: {{address: "{theirs}", id: attic, secret: "file:attic.secret"{their_subnets}}}
"""


class OpenIked(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = nodes.Mesh({"bender": (["10.0.0.1/24", "2001:db8::1/64"], ["10.1.0.0/24"])}, timeout=380)
        cls.bender = cls.mesh["bender"]
        cls.host = guest.GuestHost(cls.mesh.guest, "attic", ["10.0.0.9/24", "2001:db8::9/64"], ["10.9.0.0/24"])
        for host, network, via in ((cls.host, "10.1.0.0/24", "10.0.0.1"), (cls.bender, "10.9.0.0/24", "10.0.0.9")):
            host.ip("route", "add", network, "via", via)
        cls.iked = openiked.Iked(cls.host)

    @classmethod
    def tearDownClass(cls):
        cls.mesh.close()

    def tearDown(self):
        self.mesh.stop()
        self.iked.stop()

    def logs(self):
        return f"\n--- espalierd\n{self.bender.log()[-3500:]}\n--- iked\n{self.iked.log()[-5000:]}"

    def begin(self, initiator, mode="tunnel", family=4, esp="aes256-sha512-x25519", more="", networks=False, secret=SECRET, **their):
        ours, theirs = OURS[family], THEIRS[family]
        self.bender.write("private/attic.secret", SECRET + "\n")
        self.bender.write("mesh.yaml", INVENTORY.format(
            mode=mode, start="now" if initiator == "bender" else "none", esp=esp, more=more, ours=ours, theirs=theirs,
            subnets=', subnets: ["10.1.0.0/24"]' if networks else "",
            their_subnets=', subnets: ["10.9.0.0/24"]' if networks else ""), 0o644)
        if networks:
            their.update(own_net="10.9.0.0/24", peer_net="10.1.0.0/24")
        if initiator == "bender":
            self.iked.start("passive", secret, theirs, ours, mode, **their)
        self.bender.start()
        lib.wait_for("espalierd answers", self.bender.status, 15)
        if initiator != "bender":
            self.iked.start("active", secret, theirs, ours, mode, **their)

    def wait_up(self):
        try:
            self.mesh.wait_up(1, timeout=40)
        except lib.LabError as error:
            raise AssertionError(f"{error}{self.logs()}") from None

    def spis(self):
        return self.bender.spis("attic") or (None, None, None)

    def assert_traffic(self, family=4):
        self.assertEqual(self.bender.ping(THEIRS[family], 5, 5, interval=0.05), 5, self.logs())
        self.assertEqual(self.host.ping(OURS[family], 5, 5, interval=0.05), 5, "the other way" + self.logs())

    def assert_lost(self, flow, count, rekeys):
        """iked answers CREATE_CHILD_SA, and sends its Delete, before its kernel has the new SA (its log: the message, then
        pfkey_sa_add): what reaches it in that millisecond is lost, whoever sends it. At most a packet with each rekey."""
        lost = count - lib.answered(flow.log(), count)
        self.assertLessEqual(lost, rekeys, "a rekey lost packets" + self.logs())

    def works(self, initiator, mode, family):
        self.begin(initiator, mode, family)
        self.wait_up()
        self.assertEqual({state["mode"] for state in self.bender.states()}, {mode})
        self.assert_traffic(family)
        flow = self.bender.spawn(lib.ping_command(THEIRS[family], 100, 0.05, lib.FLOW), f"flow.{initiator}.{mode}.{family}.log")
        for ike in ([], ["--ike"]):
            before = self.spis()
            self.bender.espalier("rekey", "attic", *ike)
            part = 0 if ike else 2
            lib.wait_for("new SPIs", lambda: self.spis()[part] not in (None, before[part]), 20)
        flow.wait(90)
        self.assert_lost(flow, 100, 2)
        self.bender.espalier("down", "attic")
        self.assertEqual(self.bender.ping(THEIRS[family], 2, timeout=1), 0, "closed when down")

    def test_tunnel_espalier_starts(self):
        self.works("bender", "tunnel", 4)

    def test_tunnel_openiked_starts(self):
        self.works("attic", "tunnel", 4)

    def test_tunnel_ipv6_espalier_starts(self):
        self.works("bender", "tunnel", 6)

    def test_transport_openiked_starts(self):
        self.works("attic", "transport", 4)

    def test_transport_espalier_starts(self):
        self.works("bender", "transport", 4)

    def test_transport_ipv6_openiked_starts(self):
        self.works("attic", "transport", 6)

    def test_networks_and_its_rekeys(self):
        self.begin("bender", networks=True, lifetime="20")
        self.wait_up()
        flow = self.bender.spawn(lib.ping_command("10.9.0.1", 450, 0.1, lib.FLOW, "-I", "10.1.0.1"), "networks.log")
        seen = set()
        while flow.alive():
            seen.add(tuple(self.spis()[2] or ()))
        self.assertGreater(len(seen - {()}), 2, "iked rekeyed" + self.logs())
        self.assert_lost(flow, 450, len(seen))

    def test_wrong_secret(self):
        self.begin("bender", secret="another secret of the same kind")
        reason = lib.wait_for("a reason", lambda: (self.bender.pair("attic") or {}).get("reason"), 30)
        self.assertIn("refused our authentication", reason)
        self.assertEqual(self.bender.ping("10.0.0.9", 1, timeout=1), 0)


if __name__ == "__main__":
    guest.need_kernel()
    openiked.need_openiked()
    unittest.main(verbosity=2)
