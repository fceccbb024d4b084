"""strongSwan's kernel ESP on one host of the lab kernel and espalierd on another: what the tests with it share."""
import os
import sys
import types
import unittest

import guest
import nodes
from nodes import lib

sys.path.insert(0, os.path.join(guest.SOURCE, "tests", "interop"))
import strongswan  # noqa: E402

SECRET = "0sZXNwYWxpZXIgYW5kIHN0cm9uZ3N3YW4="
INVENTORY = """mesh: interop
defaults: {{mode: {mode}, start: none, proposals: {{ike: aes256gcm16-prfsha384-x25519, esp: [{esp}]}}{more}}}
hosts:
  bender: {{address: "{ours}"}}
foreign:
  swan: {{address: "{theirs}", id: swan, secret: "file:swan.secret"}}
"""


class SwanCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = nodes.Mesh({"bender": (["10.0.0.1/24", "2001:db8::1/64"], [])})
        cls.bender = cls.mesh["bender"]
        cls.host = guest.GuestHost(cls.mesh.guest, "swan", ["10.0.0.9/24", "2001:db8::9/64"])
        cls.swan = strongswan.Swan(cls.host)
        cls.swan.start()

    @classmethod
    def tearDownClass(cls):
        cls.swan.process.stop()
        cls.mesh.close()

    def tearDown(self):
        self.swan.terminate()
        self.mesh.stop()

    def begin(self, mode, ours, theirs, esp="aes256gcm16", more="", **settings):
        self.bender.write("mesh.yaml", INVENTORY.format(mode=mode, ours=ours, theirs=theirs, esp=esp, more=more), 0o644)
        self.bender.write("private/swan.secret", SECRET + "\n")
        self.bender.start()
        self.load(mode, ours, theirs, **settings)
        lib.wait_for("espalierd", lambda: self.bender.status(), 15)

    def load(self, mode, ours, theirs, esp="aes256gcm16", child_more="", **settings):
        peer = types.SimpleNamespace(name="bender", addresses=[ours + "/64"], subnets=[])
        selectors = {} if mode == "tunnel" else {"local_ts": "dynamic", "remote_ts": "dynamic"}
        if mode == "tunnel":
            width = 128 if ":" in ours else 32
            selectors = {"local_ts": f"{theirs}/{width}", "remote_ts": f"{ours}/{width}"}
        self.swan.load(peer, "aes256gcm16-prfsha384-x25519", esp, secret=SECRET,
                       child_more=f"mode = {mode}\n        {child_more}", **{"local": theirs, **selectors, **settings})

    def carries(self, mode, address, count=5):
        lib.wait_for("an SA", lambda: self.bender.pairs_up() == 1, 10)
        self.assertEqual({state["mode"] for state in self.bender.states()}, {mode})
        self.assertEqual(self.bender.ping(address, count, interval=0.05), count,
                         self.bender.log()[-2000:] + self.swan.log()[-2000:])
