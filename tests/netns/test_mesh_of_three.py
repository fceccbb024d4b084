#!/usr/bin/env python3
"""Three hosts, one inventory: every pair comes up, and everything between them is encrypted."""
import unittest

import lib


class MeshOfThree(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lib.Lab(lib.THREE, lib.THREE_SUBNETS)
        cls.lab.write_all(lib.inventory("three", lib.THREE, lib.THREE_SUBNETS), lib.new_secret())
        cls.wire = lib.Wire(cls.lab)
        cls.lab.start_all()
        cls.seconds = cls.lab.wait_up(30)

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def test_pings_for_every_pair_and_nothing_in_the_clear(self):
        pattern = "657370616c696572"
        for here in self.lab.hosts.values():
            for there in self.lab.hosts.values():
                if here is there:
                    continue
                for address in [a.split("/")[0] for a in there.addresses] + there.subnet_addresses():
                    self.assertEqual(here.ping(address, 3, pattern=pattern), 3, f"{here.name} to {address}")
        amys = self.lab["amy"].subnet_addresses()[0]
        for name in ("bender", "flexo"):
            address = self.lab[name].addresses[0].split("/")[0]
            self.assertEqual(self.lab["amy"].ping(address, 3, source=amys), 3, f"amy's subnet to {name}")
        packets = self.wire.stop()
        protected = [a for h in self.lab.hosts.values() for a in h.addresses + h.subnet_addresses()]
        self.assertEqual([str(p) for p in lib.leaks(packets, protected)], [])
        needle = bytes.fromhex(pattern) * 3
        self.assertFalse([str(p) for p in packets if needle in p.frame], "the ping's payload is on the wire")
        self.assertGreater(sum(p.is_ipsec() for p in packets), 50, "the capture saw the encrypted packets")

    def test_status_lists_every_pair_with_its_fields(self):
        for host in self.lab.hosts.values():
            status = host.status()
            self.assertEqual((status["mesh"], status["self"], status["dataplane"]),
                             ("three", host.name, "userspace"))
            self.assertEqual(sorted(p["peer"] for p in status["pairs"]),
                             sorted(n for n in self.lab.hosts if n != host.name))
            for pair in status["pairs"]:
                self.assertEqual((pair["name"], pair["state"]), (f"{host.name}-{pair['peer']}", "up"))
                self.assertEqual(pair["ike"]["state"], "established")
                self.assertTrue(pair["children"])
                self.assertEqual({c["mode"] for c in pair["children"]}, {"tunnel"})
            self.assertEqual(host.espalier("status", check=False).returncode, 0)

    def test_both_ends_agree_on_one_ike_sa_and_its_spis(self):
        names = sorted(self.lab.hosts)
        for one in names:
            for other in names:
                if one >= other:
                    continue
                here, there = self.lab[one].spis(other), self.lab[other].spis(one)
                self.assertEqual(here[0:2], there[1::-1], "IKE SPIs")
                self.assertEqual(here[2], sorted((o, i) for i, o in there[2]), "ESP SPIs")

    def test_large_packets_and_tcp_pass(self):
        bender, flexo = self.lab["bender"], self.lab["flexo"]
        done = bender.run(lib.ping_command("10.77.0.2", 3, 0.2, 2, "-s", "4000"), check=False)
        self.assertEqual(lib.answered(done.stdout, 3), 3)
        flexo.spawn(["iperf3", "-s", "-1"], "iperf3.log")
        lib.wait_for("iperf3 listens", lambda: ":5201" in flexo.run(["ss", "-ltn"]).stdout, 5)
        self.assertEqual(bender.run(["iperf3", "-c", "10.77.0.2", "-t", "2"], check=False).returncode, 0)

    def test_rekey_loses_no_packet(self):
        bender = self.lab["bender"]
        before = bender.spis("flexo")
        pinging = bender.spawn(lib.ping_command("10.77.0.2", 60, 0.05, lib.FLOW), "ping.log")
        bender.espalier("rekey", "flexo")
        lib.wait_for("new ESP SPIs", lambda: bender.spis("flexo")[2] != before[2] and len(bender.spis("flexo")[2]) == len(before[2]), 10)
        bender.espalier("rekey", "flexo", "--ike")
        lib.wait_for("new IKE SPIs", lambda: bender.spis("flexo")[0] != before[0], 10)
        pinging.popen.wait(90)
        self.assertEqual(lib.answered(pinging.log(), 60), 60)


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
