#!/usr/bin/env python3
"""Make before break: a reload touches in the kernel exactly what changed (its own monitor counts), and hundreds of
reloads that add, change and remove hosts lose no packet of a running flow and let none out in the clear."""
import os
import re
import signal
import time
import unittest

import guest
import nodes
from nodes import lib

OTHER = "proposals: {esp: aes128gcm16-x25519}"


class Monitor:
    """What was written to a host's SAs and policies, as the kernel tells it to everybody."""

    def __init__(self, node):
        self.process = node.spawn(["ip", "xfrm", "monitor", "SA", "policy"], f"monitor.{len(os.listdir(node.folder))}.log")
        time.sleep(0.5)

    def entries(self):
        """One text for each message; a second without one ends the wait."""
        size = -1
        while size != len(self.process.log()):
            size = len(self.process.log())
            time.sleep(1)
        return re.split(r"^(?=\S)", self.process.log(), flags=re.M)[1:]


class Reload(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = nodes.Mesh({n: ([f"10.0.0.{i}/24", f"2001:db8::{i}/64"], []) for i, n in enumerate("abcd", 1)})
        cls.three = cls.mesh.inventory(hosts="abc")
        cls.mesh.write(cls.three)
        first = [cls.mesh[n] for n in "abc"]
        cls.mesh.start(nodes=first)
        cls.mesh.wait_up(2, first)

    @classmethod
    def tearDownClass(cls):
        cls.mesh.close()

    def reload(self, inventory, names="abc"):
        self.mesh.write(inventory)
        for name in names:
            self.mesh[name].espalier("reload")

    def test_1_exactly_what_changed(self):
        mesh, a = self.mesh, self.mesh["a"]
        monitor = Monitor(a)
        self.reload("# elsewhere in the file\n" + self.three)
        self.assertEqual(monitor.entries(), [], "a reload that changes nothing writes nothing")
        # A host comes: both ends' policies and SAs, and nothing of anybody else's.
        monitor = Monitor(a)
        self.reload(mesh.inventory())
        mesh["d"].start()
        mesh.wait_up(3)
        entries = monitor.entries()
        self.assertGreaterEqual(len(entries), 3 * 2 + 2)
        self.assertEqual([e for e in entries if "10.0.0.4" not in e and "2001:db8::4" not in e], [])
        print(f"a host added: {len(entries)} messages")
        # What needs no other SA touches none.
        monitor = Monitor(a)
        self.reload(mesh.inventory(more="pairs: {a-d: {dpd: 25s, lifetimes: {child: 30m}}}\n"), "abcd")
        self.assertEqual(monitor.entries(), [])
        # What does: a new IKE SA with its children, then the old one goes.
        monitor = Monitor(a)
        before = {s["spi"] for s in a.states() if "10.0.0.4" in (s["src"], s["dst"])}
        self.reload(mesh.inventory(more="pairs: {a-d: {%s}}\n" % OTHER), "abcd")
        lib.wait_for("other SAs with d", lambda: before and not before & {s["spi"] for s in a.states()}, 60)
        entries = monitor.entries()
        self.assertEqual([e for e in entries if "10.0.0.4" not in e], [])
        kinds = ["del" if e.startswith("Deleted") else "new" for e in entries if " spi " in e]
        self.assertEqual(kinds[:2], ["new", "new"], "additions come first")
        print(f"a host changed: {len(entries)} messages")
        # It goes.
        monitor = Monitor(a)
        self.reload(self.three)
        mesh["d"].daemon.stop()
        entries = monitor.entries()
        self.assertGreaterEqual(len(entries), 3 * 2 + 2)
        self.assertEqual([e for e in entries if "10.0.0.4" not in e and "2001:db8::4" not in e], [])
        print(f"a host removed: {len(entries)} messages")
        mesh["d"].espalier("teardown")
        self.assertEqual([p for p in a.policies() if "10.0.0.4/32" in p], [])

    def test_2_300_reloads_under_load(self):
        mesh, a = self.mesh, self.mesh["a"]
        self.reload(self.three)
        clear = [nodes.Listener(mesh[name], nodes.ECHOES) for name in "ab"]
        flows = {address: a.spawn(["ping", "-n", "-i", "0.01", address], f"flow-{address}.log")
                 for address in ("10.0.0.2", "2001:db8::2", "10.0.0.3")}
        for index, text in enumerate((self.three, mesh.inventory(), self.three + "pairs: {a-c: {%s}}\n" % OTHER)):
            a.write(f"mesh-{index}", text, 0o644)
        script = a.guest.write("reloads", f"""set -e
cd {a.config}
for i in $(seq 1 300); do
  cp mesh-$((i % 3)) next && mv next mesh.yaml
  {lib.BIN}/espalier --run {a.inner}/run reload >/dev/null
done
""")
        started = time.monotonic()
        a.run(["sh", script], timeout=150)
        took = time.monotonic() - started
        time.sleep(5)
        for address, flow in flows.items():
            flow.stop(signal.SIGINT)
            sent = int(re.search(r"(\d+) packets transmitted", flow.log())[1])
            settled = sent - 50  # the last half second may be under way
            received = lib.answered(flow.log(), settled)
            print(f"300 reloads in {took:.0f} s, {address}: {settled} sent, {received} answered", flush=True)
            self.assertGreater(sent, 500)
            self.assertEqual(received, settled, f"packets to {address} were lost\n{a.log()[-3000:]}")
        for listener in clear:
            self.assertEqual(listener.stop(), [], "in the clear")


if __name__ == "__main__":
    guest.need_kernel()
    unittest.main(verbosity=2)
