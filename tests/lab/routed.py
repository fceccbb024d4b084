"""What a route-based pair does, whichever device leads into it: for test_vti_device.py and test_xfrm_interface.py."""
import re
import signal
import time

import nodes
from nodes import lib

HOSTS4 = {"a": (["10.0.0.1/24"], ["10.1.0.0/24"]), "b": (["10.0.0.2/24"], ["10.2.0.0/24"])}
HOSTS46 = {"a": (["10.0.0.1/24", "2001:db8::1/64"], ["10.1.0.0/24", "fd00:1::/64"]),
           "b": (["10.0.0.2/24", "2001:db8::2/64"], ["10.2.0.0/24", "fd00:2::/64"])}
DEVICE, TABLE = "vpn0", "58625"
CLEAR = "(icmp or (icmp6 and (ip6[40] == 128 or ip6[40] == 129)))"


class Routed:
    """Mixed into a TestCase that says kernel, hosts, the device's MTU, settings (as `defaults`), and what a second there is."""
    kernel, hosts, mtu, settings, slow = "uml", HOSTS4, 0, "", 1

    @classmethod
    def setUpClass(cls):
        cls.mesh = nodes.Mesh(cls.hosts, timeout=290 * cls.slow, kernel=cls.kernel)

    @classmethod
    def tearDownClass(cls):
        cls.mesh.close()

    def setUp(self):
        self.a, self.b = self.mesh["a"], self.mesh["b"]

    def tearDown(self):
        self.mesh.stop()

    def logs(self):
        return "".join(f"\n--- {n.name}\n{n.log()[-4000:]}" for n in (self.a, self.b))

    def wait(self, what, condition, seconds=15):
        try:
            lib.wait_for(what, condition, seconds * self.slow)
        except lib.LabError as error:
            self.fail(f"{error}{self.logs()}")

    def begin(self, more=""):
        self.mesh.write(self.mesh.inventory(self.settings + more))
        self.mesh.start()
        self.mesh.wait_up(timeout=30 * self.slow)

    def device(self, node):
        """Its index; 0: there is none."""
        found = re.match(r"(\d+): ", node.ip("-o", "link", "show", DEVICE, check=False))
        return int(found[1]) if found else 0

    def blocked(self, node, name):
        found = re.search(rf"{name}\s+(\d+)", node.run(["cat", "/proc/net/xfrm_stat"]).stdout)
        return int(found[1])

    def test_traffic(self):
        self.begin()
        wire = nodes.Listener(self.a, f"esp or {CLEAR}")
        for address in [*self.b.addresses, *map(lib.first_address, self.b.subnets)]:
            address = address.split("/")[0]
            self.assertEqual(self.a.ping(address, 6, timeout=3), 6, address + self.logs())
        lines = wire.stop()
        self.assertEqual([line for line in lines if "ESP(" not in line], [], "in the clear")
        self.assertGreaterEqual(len(lines), 12)
        carried = self.a.ip("-s", "link", "show", DEVICE)
        self.assertRegex(carried, r"TX:[^\n]*\n\s+\d+\s+(1[2-9]|[2-9]\d)\s", "not by the device")
        self.assertIn(f"mtu {self.mtu} ", carried)
        self.assertEqual(self.a.run(["ping", "-n", "-q", "-c", "2", "-W", "3", "-M", "do", "-s", str(self.mtu - 28), "10.2.0.1"],
                                    check=False).returncode, 0)
        routes = self.a.ip("route", "show", "table", TABLE)
        self.assertIn(f"10.2.0.0/24 dev {DEVICE} ", routes)
        self.assertIn("unreachable 10.2.0.0/24 ", routes)
        # What comes past the device is not taken.
        before = self.blocked(self.b, "XfrmInPolBlock")
        for words in (["rule", "{}", "priority", "100", "to", "10.2.0.0/24", "lookup", "main"],
                      ["route", "{}", "10.2.0.0/24", "via", "10.0.0.2", "dev", "eth0", "src", "10.1.0.1"]):
            self.a.ip(*[word.format("add") for word in words])
            self.addCleanup(self.a.ip, *[word.format("delete") for word in words])
        self.assertEqual(self.a.ping("10.2.0.1", 2, timeout=1), 0)
        self.assertGreaterEqual(self.blocked(self.b, "XfrmInPolBlock") - before, 2)

    def test_the_other_end_has_no_device(self):
        self.mesh.write(self.mesh.inventory(self.settings), [self.a])
        self.mesh.write(self.mesh.inventory(""), [self.b])
        self.mesh.start()
        self.mesh.wait_up(timeout=30 * self.slow)
        self.assertEqual(self.device(self.b), 0)
        wire = nodes.Listener(self.a, f"esp or {CLEAR}")
        self.assertEqual(self.a.ping("10.2.0.1", 3, timeout=3), 3, self.logs())
        self.assertEqual(self.b.ping("10.0.0.1", 3, timeout=3), 3, self.logs())
        lines = wire.stop()
        self.assertEqual([line for line in lines if "ESP(" not in line], [], "in the clear")
        # A reload of the same writes nothing.
        written = self.a.spawn(["ip", "monitor", "link", "route", "rule"], "monitor.log")
        time.sleep(0.5)
        self.a.espalier("reload", "--force")
        time.sleep(0.5)
        written.stop()
        self.assertEqual(written.log(), "")
        self.assertNotIn("routes and rules of our interfaces set", self.a.log())

    def test_what_somebody_removes_comes_back(self):
        self.begin()
        wire = nodes.Listener(self.a, CLEAR)
        # A default route, by which what finds no other would leave.
        for node, other in ((self.a, "10.0.0.2"), (self.b, "10.0.0.1")):
            node.ip("route", "add", "default", "via", other, "dev", "eth0")
            self.addCleanup(node.ip, "route", "delete", "default")
        flow = self.a.spawn(["ping", "-n", "-q", "-i", "0.02", "-c", "400", "-W", "2", "10.2.0.1"], "hole.log")
        for _ in range(3):
            time.sleep(0.5)
            before = self.device(self.a)
            self.a.ip("link", "delete", DEVICE)
            self.wait("the device", lambda before=before: self.device(self.a) not in (0, before))
        self.wait("its routes", lambda: f"10.2.0.0/24 dev {DEVICE} " in self.a.ip("route", "show", "table", TABLE))
        self.wait("the flow's end", lambda: not flow.alive(), 60)
        received = int(re.search(r"(\d+) received", flow.log())[1])
        self.assertGreater(received, 100, flow.log() + self.logs())
        self.assertEqual(wire.stop(), [], "in the clear" + self.logs())
        self.assertEqual(self.a.ping("10.2.0.1", 2, timeout=3), 2)
        self.assertIn(f"somebody removed or changed the interface {DEVICE}: it is as it was", self.a.log())

    def test_restart(self):
        self.begin()
        devices = [self.device(n) for n in (self.a, self.b)]
        spis = sorted(s["spi"] for s in self.a.states())
        flow = self.a.spawn(["ping", "-n", "-q", "-i", "0.02", "-c", str(400 * self.slow), "-W", "2", "10.2.0.1"],
                            "restart.log")
        for node in (self.a, self.b):
            node.daemon.stop(signal.SIGKILL)
            time.sleep(0.5)
            node.start()
            self.mesh.wait_up(timeout=20 * self.slow)
        self.wait("the flow's end", lambda: not flow.alive(), 60)
        self.assertIn(f"{400 * self.slow} received", flow.log(), flow.log() + self.logs())
        self.assertEqual(sorted(s["spi"] for s in self.a.states()), spis, "keyed anew" + self.logs())
        self.assertEqual([self.device(n) for n in (self.a, self.b)], devices, "made anew" + self.logs())
        self.a.espalier("rekey", "b")
        self.wait("another SA", lambda: sorted(s["spi"] for s in self.a.states()) != spis)
        self.assertEqual(self.a.ping("10.2.0.1", 3, timeout=3), 3)

    def test_exceptions_and_teardown(self):
        self.begin(", except: [icmp, {proto: tcp, port: 2222}]")
        wire = nodes.Listener(self.a, "esp or icmp or tcp")
        self.assertEqual(self.a.ping("10.0.0.2", 2, timeout=3), 2, self.logs())
        # Nobody listens: what comes back refuses.
        for port in (2222, 3333):
            self.a.run(["python3", "-c", f"import socket; s = socket.socket(); s.settimeout(5); s.connect_ex(('10.0.0.2', {port}))"])
        lines = wire.stop()
        self.assertTrue(any("ICMP echo" in line for line in lines), lines)
        self.assertTrue(any(".2222: Flags [S]" in line for line in lines), lines)
        self.assertFalse(any(".3333" in line for line in lines), lines)
        self.assertTrue(any("ESP(" in line for line in lines), lines)
        # Without the exceptions from now on, and then without a device.
        self.mesh.write(self.mesh.inventory(self.settings))
        self.a.espalier("reload", "--force", check=False)
        self.assertNotIn("goto", self.a.ip("rule", "show"))
        self.mesh.write(self.mesh.inventory(""))
        self.a.espalier("reload", "--force", check=False)
        self.wait("no device", lambda: self.device(self.a) == 0)
        self.assertNotIn(TABLE, self.a.ip("rule", "show") + self.a.ip("-6", "rule", "show"))
        # And all of it at once.
        self.assertNotEqual(self.device(self.b), 0)
        self.b.daemon.stop()
        self.b.espalier("teardown")
        self.assertEqual(self.device(self.b), 0)
        left = self.b.ip("rule", "show") + self.b.ip("-6", "rule", "show")
        self.assertNotRegex(left, rf"(?m)^(230|231|232):|{TABLE}")
        self.assertEqual(self.b.ip("route", "show", "table", TABLE, check=False).strip().replace(
            "Error: ipv4: FIB table does not exist.\nDump terminated", ""), "")
        self.assertEqual((self.b.states(), self.b.policies()), ([], []))
        self.assertNotIn("journal", self.b.run(["ls", f"{self.b.inner}/run"]).stdout)
