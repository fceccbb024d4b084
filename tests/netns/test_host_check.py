#!/usr/bin/env python3
"""`espalier check --host` and `espalier firewall` on real nftables: what is found is mended by the command that stands
with it. And a reload that would cut off whoever is logged in is refused."""
import json
import os
import shutil
import socket
import unittest

import lib

HOSTS = {n: lib.THREE[n] for n in ("bender", "flexo")}
CLOSED = ("table inet filter {\n chain input {\n  type filter hook input priority filter; policy drop;\n"
          "  ct state established,related accept\n  iifname \"lo\" accept\n  icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }"
          " accept\n }\n chain forward {\n  type filter hook forward priority filter; policy drop;\n }\n}\n")


class HostCheck(unittest.TestCase):
    def setUp(self):
        self.lab = lib.Lab(HOSTS)
        self.addCleanup(self.lab.close)
        self.base = lib.inventory("host", HOSTS)
        self.lab.write_all(self.base, lib.new_secret())
        self.bender, self.flexo = self.lab["bender"], self.lab["flexo"]
        self.program = os.path.join(lib.BIN, "espalier")

    def check(self, host):
        done = host.run([self.program, "--config", host.config, "check", "--host", "--self", host.name, "--json"], check=False)
        return done.returncode, json.loads(done.stdout)

    def drops(self, host):
        return [f for f in self.check(host)[1]["findings"] if f["code"] == "firewall-drops"]

    def test_a_firewall_that_drops_is_mended_by_the_commands(self):
        status, report = self.check(self.bender)
        self.assertEqual(report["dataplane"], "userspace", report)
        self.assertIn("ESP", report["dataplane_why"])
        self.assertFalse(self.drops(self.bender))
        self.bender.run(["nft", "-f", "-"], text_input=CLOSED)
        found = self.drops(self.bender)
        self.assertEqual(len(found), 6, "udp/500, udp/4500 and ESP, of both families")
        for finding in found:
            self.bender.run(finding["command"].replace("{", " { ").split())
        self.assertEqual(self.drops(self.bender), [])
        self.lab.start_all()
        log = lambda: self.bender.daemon.log()
        lib.wait_for("the choice is in the log", lambda: "dataplane userspace: this kernel" in log(), 15)
        self.assertIn("userspace: this kernel", lib.wait_for("status", self.bender.status, 15)["dataplane_why"])

    def test_the_printed_rules_let_the_mesh_through(self):
        for host in (self.bender, self.flexo):
            host.run(["nft", "-f", "-"], text_input=CLOSED)
        self.lab.start_all()
        rules = {h.name: h.run([self.program, "--config", h.config, "firewall", "--self", h.name]).stdout
                 for h in (self.bender, self.flexo)}
        self.assertIn("10.77.0.2", rules["bender"])
        for host in (self.bender, self.flexo):
            host.run(["nft", "-f", "-"], text_input=rules[host.name])
        self.lab.wait_up(60)
        self.assertEqual(self.bender.ping("10.77.0.2", 3), 3, "what comes out of IPsec is let in")
        self.assertEqual(self.drops(self.bender), [])
        for style in ("--iptables", "--ufw"):
            out = self.bender.run([self.program, "--config", self.bender.config, "firewall", style, "--self", "bender"]).stdout
            self.assertIn("10.77.0.2", out)
            shell = self.bender.run(["sh", "-n"], text_input=out, check=False)
            self.assertEqual(shell.returncode, 0, shell.stdout)

    def test_iptables_rules_are_taken(self):
        if not shutil.which("iptables-nft"):
            lib.skip("iptables is not installed")
        out = self.bender.run([self.program, "--config", self.bender.config, "firewall", "--iptables", "--self", "bender"]).stdout
        self.bender.run(["sh", "-e"], text_input=out.replace("ip6tables ", "ip6tables-nft ").replace("iptables ", "iptables-nft ")
                        .replace("ip6tables-nft-nft", "ip6tables-nft"))
        self.assertIn("esp", self.bender.run(["iptables-nft", "-S", "INPUT"]).stdout)

    def test_a_reload_does_not_lock_the_operator_out(self):
        for host in (self.bender, self.flexo):
            host.write("mesh.yaml", self.base + "defaults: {protect: off}\n", 0o644)
        self.lab.start_all()
        lib.wait_for("daemons answer", lambda: self.bender.status() and self.flexo.status(), 15)

        def opened():
            listening = socket.create_server(("10.77.0.1", 22))
            return listening

        listening = lib.in_netns(self.bender.netns, opened)
        self.addCleanup(listening.close)
        login = lib.in_netns(self.flexo.netns, lambda: socket.create_connection(("10.77.0.1", 22), 5))
        self.addCleanup(login.close)
        session, _ = listening.accept()
        self.addCleanup(session.close)
        self.bender.write("mesh.yaml", self.base, 0o644)
        refused = self.bender.espalier("reload", check=False)
        self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertIn("somebody is logged in from 10.77.0.2", refused.stdout)
        self.assertIn("except: [ssh]", refused.stdout)
        self.assertIsNone(self.bender.pair("flexo"), "nothing changed")
        login.sendall(b"still here")
        self.assertEqual(session.recv(100), b"still here")
        checked = self.bender.run([self.program, "check", os.path.join(self.bender.config, "mesh.yaml"), "--self", "bender"], check=False)
        self.assertEqual(checked.returncode, 1, checked.stdout)
        self.assertIn("logged in from 10.77.0.2", checked.stdout)
        # With the line that it says, and by force, it goes.
        for host in (self.bender, self.flexo):
            host.write("mesh.yaml", self.base + "defaults: {except: [ssh]}\n", 0o644)
            host.espalier("reload")
        self.lab.wait_up(30)
        login.sendall(b"and still")
        self.assertEqual(session.recv(100), b"and still")
        # The caller's own, on another port than 22.
        for words, status in (((), 1), (("--force",), 0)):
            self.bender.write("mesh.yaml", self.base + "defaults: {protect: use}\n", 0o644)
            self.bender.espalier("reload")
            self.bender.write("mesh.yaml", self.base + "defaults: {except: [ssh]}\n", 0o644)
            done = self.bender.run(["env", "SSH_CONNECTION=10.77.0.2 50000 10.77.0.1 2222", self.program, "--run",
                                    self.bender.rundir, "reload", *words], check=False)
            self.assertEqual(done.returncode, status, done.stdout)


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
