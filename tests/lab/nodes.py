"""Hosts of the lab kernel with espalierd on the kernel's dataplane."""
import json
import os
import re
import secrets
import sys

import guest

sys.path.insert(0, os.path.join(guest.SOURCE, "tests", "netns"))
import lib  # noqa: E402

ECHOES = "icmp[icmptype] == 8 or icmp[icmptype] == 0 or (icmp6 and ip6[40] >= 128 and ip6[40] <= 129)"


class Node(guest.GuestHost):
    """A host in the guest with its folders and, once started, its espalierd. As lib.Host, where tests need it."""

    def __init__(self, lab_guest, name, addresses, subnets=()):
        super().__init__(lab_guest, name, addresses, subnets)
        self.config, self.daemon, self.starts = os.path.join(self.folder, "etc"), None, 0
        os.makedirs(os.path.join(self.config, "private"), mode=0o700)

    def write(self, path, text, mode=0o600):
        full = os.path.join(self.config, path)
        with open(os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, *extra, dataplane="kernel"):
        self.starts += 1
        self.daemon = self.spawn(
            [os.path.join(lib.BIN, "espalierd"), "--config", self.config, "--state", f"{self.inner}/lib", "--run",
             f"{self.inner}/run", "--self", self.name, "--dataplane", dataplane, *extra], f"espalierd.{self.starts}.log")
        return self.daemon

    def espalier(self, *words, check=True, timeout=60):
        return self.run([os.path.join(lib.BIN, "espalier"), "--run", f"{self.inner}/run", *words], check, timeout)

    def status(self):
        done = self.espalier("status", "--json", check=False)
        try:
            return json.loads(done.stdout) if done.returncode in (0, 1) else None
        except json.JSONDecodeError:
            return None

    pair, spis = lib.Host.pair, lib.Host.spis

    def pairs_up(self):
        status = self.status()
        return sum(1 for pair in status["pairs"] if pair["state"] == "up") if status else 0

    def states(self):
        """The kernel's SAs: dictionaries of what `ip xfrm state` says."""
        found = []
        for block in re.split(r"^(?=src )", self.ip("xfrm", "state"), flags=re.M)[1:]:
            head = re.match(r"src (\S+) dst (\S+)\n\s+proto (\S+) spi (0x[0-9a-f]+)(?:\(\d+\))? reqid (\d+)(?:\(\S+\))? "
                            r"mode (\S+)", block)
            found.append(dict(zip(("src", "dst", "proto", "spi", "reqid", "mode"), head.groups()), text=block))
        return found

    def policies(self):
        """(direction, source, destination, priority, mode or None) of every policy that is no socket's."""
        found = []
        for block in re.split(r"^(?=src )", self.ip("xfrm", "policy"), flags=re.M)[1:]:
            head = re.match(r"src (\S+) dst (\S+)[^\n]*\n\s+dir (\S+)(?: action block)? priority (\d+)", block)
            if head:
                mode = re.search(r"mode (\S+)", block)
                found.append((head[3], head[1], head[2], int(head[4]), mode and mode[1]))
        return found

    def log(self):
        return "".join(lib_read(os.path.join(self.folder, f"espalierd.{n}.log")) for n in range(1, self.starts + 1))


def lib_read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


class Listener:
    """tcpdump on a host's wire, outwards: what it sent, one line a packet. Inwards a device shows what ESP brought once
    more, decrypted."""

    def __init__(self, node, expression, direction="out", flags=()):
        self.process = node.spawn(["tcpdump", "-n", "-l", "-p", "--immediate-mode", "-Q", direction, "-i", "eth0",
                                   *flags, expression], f"tcpdump.{len(os.listdir(node.folder))}.log")
        lib.wait_for("tcpdump", lambda: "listening on" in self.process.log(), 10)

    def lines(self):
        return [line for line in self.process.log().splitlines() if re.match(r"\d\d:\d\d:\d\d\.", line)]

    def stop(self):
        self.process.stop()
        return self.lines()


class Mesh:
    """A guest, and a mesh of nodes in it. hosts: {name: ([address/len, ...], [subnet, ...])}."""

    def __init__(self, hosts, timeout=170, memory=512, kernel="uml"):
        self.lab = lib.Lab({})
        self.guest = guest.Guest(self.lab, timeout, memory, kernel)
        self.secret = secrets.token_urlsafe(32)
        self.nodes = {name: Node(self.guest, name, addresses, subnets) for name, (addresses, subnets) in hosts.items()}

    def __getitem__(self, name):
        return self.nodes[name]

    def inventory(self, defaults="", more="", hosts=None):
        lines = ["mesh: lab"]
        if defaults:
            lines.append(f"defaults: {{{defaults}}}")
        lines.append("hosts:")
        for name in hosts or self.nodes:
            node = self.nodes[name]
            addresses = ", ".join(f'"{a.split("/")[0]}"' for a in node.addresses)
            subnets = ", ".join(f'"{s}"' for s in node.subnets)
            lines.append(f"  {name}: {{address: [{addresses}]" + (f", subnets: [{subnets}]" if subnets else "") + "}")
        return "\n".join(lines) + "\n" + more

    def write(self, inventory, nodes=None):
        for node in nodes or self.nodes.values():
            node.write("mesh.yaml", inventory, 0o644)
            node.write("private/mesh.secret", self.secret + "\n")

    def start(self, *extra, nodes=None):
        for node in nodes or self.nodes.values():
            node.start(*extra)

    def wait_up(self, expect=None, nodes=None, timeout=30):
        nodes = list(nodes or self.nodes.values())
        wanted = len(self.nodes) - 1 if expect is None else expect

        def up():
            for node in nodes:
                if not node.daemon.alive():
                    raise lib.LabError(f"espalierd on {node.name} ended:\n{node.log()[-3000:]}")
            return all(node.pairs_up() >= wanted for node in nodes)

        try:
            lib.wait_for(f"{wanted} pairs up", up, timeout)
        except lib.LabError as error:
            raise lib.LabError(f"{error}\n" + "\n".join(f"--- {n.name}\n{n.log()[-3000:]}" for n in nodes)) from None

    def stop(self):
        for node in self.nodes.values():
            if node.daemon is not None and node.daemon.alive():
                node.daemon.stop()
                node.espalier("teardown")

    def close(self):
        self.guest.close()
        self.lab.close()
