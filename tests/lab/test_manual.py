#!/usr/bin/env python3
"""Manual keys over the kernel's ESP: against Linux set up by hand from the printed sheet, tunnel and transport; a daemon
that is killed, stopped or replaced under traffic; SAs deleted by hand; and a scheduled change of keys between two daemons."""
import datetime
import os
import re
import signal
import time
import unittest

import guest
import lib
import nodes

BOX = "10.0.0.2"
LINUX = {"aes128-sha1": ("cbc(aes)", "hmac(sha1)", 96), "aes256-sha256": ("cbc(aes)", "hmac(sha256)", 128)}


def utc(moment):
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def by_hand(sheet):
    """The commands that somebody would type who reads the sheet: its table, and nothing else."""
    rows = dict(re.findall(r"^ +(\S.*?)  +(\S.*)$", sheet, re.M))
    crypt, auth, bits = LINUX[rows["suite"]]
    here, there, mode = rows["local address"], rows["remote address"], rows["mode"]
    lines = []
    # With a window of its own for what comes in: it shows a number that comes twice.
    for way, src, dst, window in (("incoming", there, here, 32), ("outgoing", here, there, 0)):
        decimal = rows[f"{way} SPI"].split()[0]
        lines.append(f"ip xfrm state add src {src} dst {dst} proto esp spi {decimal} reqid 7 mode {mode} replay-window {window} "
                     f"auth-trunc '{auth}' {rows[f'{way} authentication key']} {bits} "
                     f"enc '{crypt}' {rows[f'{way} encryption key']}")
    near, far = rows["local networks"], rows["remote networks"]
    for way, src, dst, ends in (("out", near, far, (here, there)), ("in", far, near, (there, here)),
                                ("fwd", far, near, (there, here))):
        if mode == "tunnel" or way != "fwd":
            lines.append(f"ip xfrm policy add src {src} dst {dst} dir {way} tmpl src {ends[0]} dst {ends[1]} proto esp "
                         f"reqid 7 mode {mode}")
    return "\n".join(lines) + "\n"


class Manual(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = nodes.Mesh({"a": (["10.0.0.1/24"], ["10.1.0.0/16"]), "b": (["10.0.0.2/24"], ["10.2.0.0/16"])},
                              timeout=280)
        for name, subnet, gateway in (("a", "10.2.0.0/16", "10.0.0.2"), ("b", "10.1.0.0/16", "10.0.0.1")):
            cls.mesh[name].ip("route", "replace", subnet, "via", gateway)

    @classmethod
    def tearDownClass(cls):
        cls.mesh.close()

    def tearDown(self):
        self.mesh.stop()
        for what in ("state", "policy"):
            self.mesh["b"].ip("xfrm", what, "flush")

    def espalier(self, *words):
        return lib.run([os.path.join(lib.BIN, "espalier"), *words]).stdout

    def keys(self, *words):
        return self.espalier("manual", "new", *words)

    def entry(self, text, suite, spi="{in: 0x1000, out: 8192}"):
        self.mesh["a"].write(
            "mesh.yaml", "mesh: lab\nhosts:\n  a: {address: 10.0.0.1, subnets: [10.1.0.0/16]}\nmanual:\n"
            f"  a-box: {{address: {BOX}, suite: {suite}, spi: {spi}, secret: \"file:box\", {text}}}\n", 0o644)

    def sheet(self, *words):
        return self.espalier("--config", self.mesh["a"].config, "manual", "sheet", "box", "--self", "a", *words)

    # a has the daemon; b is Linux with what the sheet says.
    def begin(self, entry, pings, suite, script_of):
        a, b = self.mesh["a"], self.mesh["b"]
        self.entry(entry, suite)
        a.write("private/box", self.keys("--suite", suite))
        clear = nodes.Listener(a, nodes.ECHOES)
        a.start()
        self.mesh.wait_up(1, [a])
        for there, here in pings.items():
            self.assertEqual(a.ping(there, 11, interval=0.05, timeout=1, source=here), 0, "nothing is there yet")
        self.assertIn("packets sent and none received", a.status()["pairs"][0]["reason"])
        self.assertIn("packets sent and none received", a.espalier("status").stdout)
        script = os.path.join(b.folder, "sheet.sh")
        with open(script, "w", encoding="utf-8") as file:
            file.write(script_of())
        b.run(["sh", "-e", script])
        esp = nodes.Listener(b, "esp")
        for there, here in pings.items():
            self.assertEqual(a.ping(there, 5, interval=0.05, source=here), 5, there)
            self.assertEqual(b.ping(here, 5, interval=0.05, source=there), 5, here)
        self.assertGreaterEqual(len(esp.stop()), 10 * len(pings), "that was not ESP")
        self.assertEqual(clear.stop(), [], "in the clear")
        status = a.status()
        child = status["pairs"][0]["children"][0]
        self.assertIsNone(status["pairs"][0]["reason"])
        self.assertEqual((child["spi_in"], child["spi_out"], child["manual"]), ("00001000", "00002000", True), status)
        self.assertGreaterEqual(child["packets_in"], 10)
        self.assertIn("4096 (0x1000)", a.espalier("status", "box").stdout)
        self.assertNotEqual(a.espalier("rekey", "box", check=False).returncode, 0)
        for line in a.log().splitlines():
            self.assertNotRegex(line, "[0-9a-f]{32}", "a key in the log")
        return a, b

    def sent(self, node, source):
        """{SPI: highest number sent} of the SAs from source."""
        found = {}
        for block in re.split(r"^(?=src )", node.ip("-s", "xfrm", "state"), flags=re.M)[1:]:
            if block.startswith(f"src {source} "):
                number = re.search(r"anti-replay context: seq 0x\w+, oseq (0x\w+)", block) or re.search(r"oseq (0x\w+)", block)
                found[re.search(r"spi (0x\w+)", block)[1]] = int(number[1], 16)
        return found

    def flow(self, node, there, here, seconds):
        """Pings, fifty times a second: a busy machine may take longer for them, and is given the time."""
        flow = node.spawn(lib.ping_command(there, seconds * 50, 0.02, 40, "-I", here),
                          f"flow.{len(os.listdir(node.folder))}.log")
        flow.count = seconds * 50
        return flow

    def lost(self, flow):
        lib.wait_for("the flow's end", lambda: not flow.alive(), 100)
        return flow.count - lib.answered(flow.log(), flow.count)

    def test_a_tunnel_by_hand_from_the_table(self):
        a, _ = self.begin("subnets: [10.2.0.0/16], local_subnets: [10.1.0.0/16]", {"10.2.0.1": "10.1.0.1"}, "aes128-sha1",
                          lambda: by_hand(self.sheet()))
        # Killed and stopped under traffic: the kernel goes on, and the next daemon takes over the very SAs.
        before = self.sent(a, "10.0.0.1")
        flow = self.flow(a, "10.2.0.1", "10.1.0.1", 5)
        for how in (signal.SIGKILL, signal.SIGTERM):
            a.daemon.stop(how)
            time.sleep(0.5)
            a.start()
            self.mesh.wait_up(1, [a])
        self.assertEqual(self.lost(flow), 0, a.log()[-3000:])
        after = self.sent(a, "10.0.0.1")
        self.assertEqual(list(after), list(before))
        self.assertGreaterEqual(min(after.values()), min(before.values()) + 250, "numbers began again")
        self.assertEqual(a.log().count("2 SAs with manual keys of the daemon before go on"), 2, a.log()[-3000:])
        self.assertNotIn("removed", a.log())
        # A peer with a window took all of it, since no number came twice.
        self.assertEqual(a.status()["repairs"], {})

    def test_transport_by_hand_from_the_commands_and_what_is_deleted(self):
        a, b = self.begin("mode: transport", {BOX: "10.0.0.1"}, "aes256-sha256", lambda: self.sheet("--ip"))
        clear = nodes.Listener(a, nodes.ECHOES)
        # Somebody deletes an SA, or all: they come back by themselves, in either direction.
        for source, destination, spi in (("10.0.0.1", BOX, "8192"), (BOX, "10.0.0.1", "4096")):
            a.ip("xfrm", "state", "delete", "src", source, "dst", destination, "proto", "esp", "spi", spi)
            lib.wait_for("the SA is back", lambda: len(a.states()) == 2, 20, 0.1)
            self.assertEqual(a.ping(BOX, 5, interval=0.05), 5)
        a.ip("xfrm", "policy", "delete", "src", "10.0.0.1/32", "dst", BOX + "/32", "dir", "out")
        lib.wait_for("the policy is back", lambda: a.ping(BOX, 1, timeout=1) == 1, 20)
        a.ip("xfrm", "state", "flush")
        lib.wait_for("both SAs are back", lambda: len(a.states()) == 2, 20, 0.1)
        self.assertEqual(b.ping("10.0.0.1", 5, interval=0.05), 5)
        self.assertGreaterEqual(a.status()["repairs"]["manual-restored"], 4)
        self.assertIn("a-box", "".join(line for line in a.log().splitlines() if "installed again" in line))
        # A reload without a change touches nothing.
        before = self.sent(a, "10.0.0.1")
        self.assertIn("1 untouched", a.espalier("reload").stdout + a.log())
        self.assertEqual(a.ping(BOX, 5, interval=0.05), 5)
        self.assertGreaterEqual(min(self.sent(a, "10.0.0.1").values()), min(before.values()) + 5)
        # What was deleted while nobody was there is there again, and the rest goes on.
        a.daemon.stop(signal.SIGKILL)
        a.ip("xfrm", "state", "delete", "src", BOX, "dst", "10.0.0.1", "proto", "esp", "spi", "4096")
        before = self.sent(a, "10.0.0.1")
        a.start()
        self.mesh.wait_up(1, [a])
        self.assertEqual(a.ping(BOX, 5, interval=0.05), 5)
        self.assertGreaterEqual(min(self.sent(a, "10.0.0.1").values()), min(before.values()) + 5)
        self.assertIn("1 SAs with manual keys of the daemon before go on", a.log())
        # Other keys under the same SPIs while nobody was there: they are not taken for the old ones.
        a.daemon.stop()
        a.write("private/box", self.keys("--suite", "aes256-sha256"))
        a.start()
        self.mesh.wait_up(1, [a])
        self.assertEqual(a.ping(BOX, 2, interval=0.2, timeout=1), 0, "the box has the old keys")
        b.ip("xfrm", "state", "flush")
        b.ip("xfrm", "policy", "flush")
        script = os.path.join(b.folder, "again.sh")
        with open(script, "w", encoding="utf-8") as file:
            file.write(self.sheet("--ip"))
        b.run(["sh", "-e", script])
        self.assertEqual(a.ping(BOX, 5, interval=0.05), 5)
        self.assertEqual(clear.stop(), [], "in the clear")
        # Teardown leaves nothing.
        a.daemon.stop()
        self.assertEqual(len(a.states()), 2)
        a.espalier("teardown")
        self.assertEqual((a.states(), a.policies()), ([], []))

    # The kernel takes ESP out of UDP only while somebody holds the socket.
    def test_in_udp_between_two_daemons_through_a_kill(self):
        mesh, a = self.mesh, self.mesh["a"]
        mesh.write(mesh.inventory("", "manual:\n  a-b: {encap: always, spi: 0x300, secret: \"file:k\"}\n"))
        text = self.keys("--one")
        for node in mesh.nodes.values():
            node.write("private/k", text)
        mesh.start()
        mesh.wait_up(1)
        self.assertIn("espinudp", a.ip("xfrm", "state"))
        flow = self.flow(a, "10.2.0.1", "10.1.0.1", 4)
        for name in "ab":
            mesh[name].daemon.stop(signal.SIGKILL)
            time.sleep(0.5)
            mesh[name].start()
            mesh.wait_up(1)
        self.assertEqual(self.lost(flow), 0, a.log()[-3000:])

    def test_somebody_elses_sa_is_left_alone(self):
        a = self.mesh["a"]
        self.entry("mode: transport", "aes128-sha1")
        a.write("private/box", self.keys("--suite", "aes128-sha1"))
        foreign = ["src", "10.0.0.1", "dst", BOX, "proto", "esp", "spi", "8192"]
        a.ip("xfrm", "state", "add", *foreign, "reqid", "7", "mode", "transport", "aead", "rfc4106(gcm(aes))",
             "0x" + "01" * 20, "128")
        a.start()
        lib.wait_for("a reason", lambda: (a.status() or {"pairs": []})["pairs"] and a.status()["pairs"][0]["reason"], 20)
        status = a.status()["pairs"][0]
        self.assertEqual(status["state"], "down")
        self.assertIn("SPI 8192 (0x2000)", status["reason"])
        self.assertEqual([s["reqid"] for s in a.states() if s["dst"] == BOX], ["7"])
        a.ip("xfrm", "state", "delete", *foreign)
        a.espalier("reload")  # or the next comparison, within half a minute
        lib.wait_for("up", lambda: a.pairs_up() == 1, 40, 0.5)

    def test_keys_change_at_their_time_without_loss(self):
        mesh, a = self.mesh, self.mesh["a"]
        old = "{spi: {in: 300, out: 400}, secret: \"file:one\"}"

        def plan(more=""):
            mesh.write(mesh.inventory("", f"manual:\n  a-b:\n    overlap: 4s\n    keys:\n      - {old}\n{more}"))

        plan()
        for name in ("one", "two"):
            text = self.keys()
            for node in mesh.nodes.values():
                node.write(f"private/{name}", text)
        clear = nodes.Listener(a, nodes.ECHOES)
        mesh.start()
        mesh.wait_up(1)
        # The list is on both ends before its time, one after the other.
        change = int(time.time()) + 10
        plan(f"      - {{from: \"{utc(change)}\", spi: 500, secret: \"file:two\"}}\n")
        for node in mesh.nodes.values():
            self.assertIn("1 changed", node.espalier("reload").stdout)

        def spis():
            return sorted(int(s["spi"], 16) for s in a.states())

        self.assertEqual(spis(), [300, 400, 500], "what is to come is received with already")
        flow = self.flow(a, "10.2.0.1", "10.1.0.1", max(2, int(change + 7 - time.time())))
        self.assertEqual(self.lost(flow), 0, a.log()[-2000:])
        lib.wait_for("the old keys are gone", lambda: spis() == [500, 500], 30, 0.5)
        self.assertEqual(a.ping("10.2.0.1", 5, interval=0.05, source="10.1.0.1"), 5)
        self.assertEqual(clear.stop(), [], "in the clear")


class OtherPlane(unittest.TestCase):
    """The userspace dataplane at one end, the kernel's at the other."""

    # Numbers that start again with each daemon of the userspace plane are taken, since nobody has a window.
    def test_each_restart_counts_from_one_and_is_heard(self):
        lab = lib.Lab({"bender": ["10.77.0.1/24"]})
        self.addCleanup(lab.close)
        machine = guest.Guest(lab)
        self.addCleanup(machine.close)
        bender, flexo = lab["bender"], nodes.Node(machine, "flexo", ["10.77.0.2/24"])
        keys = lib.run([os.path.join(lib.BIN, "espalier"), "manual", "new", "--suite", "aes128-sha512"]).stdout
        for host in (bender, flexo):
            host.write("mesh.yaml", "mesh: m\nhosts:\n  bender: 10.77.0.1\n  flexo: 10.77.0.2\nmanual:\n  flexo-bender: "
                       "{encap: always, spi: 0x500, suite: aes128-sha512, secret: \"file:k\"}\n", 0o644)
            host.write("private/k", keys)
        flexo.start()
        for _ in range(2):
            bender.start()
            lib.wait_for("both up", lambda: flexo.pairs_up() == 1 and bender.pairs_up() == 1, 30)
            self.assertEqual(bender.ping("10.77.0.2", 20, interval=0.05), 20)
            self.assertEqual(flexo.ping("10.77.0.1", 20, interval=0.05), 20)
            bender.daemon.stop()
            self.assertEqual(flexo.ping("10.77.0.1", 1, timeout=1), 0, "closed")
        self.assertGreaterEqual(flexo.status()["pairs"][0]["children"][0]["packets_in"], 80)


if __name__ == "__main__":
    guest.need_kernel()
    unittest.main(verbosity=2)
