"""A pair of espalierd (bender) and charon (swan) whose identities and certificates a test chooses."""
import os
import shutil
import unittest

import pki
import strongswan
from strongswan import lib

HOSTS = {"bender": ["10.77.0.1/24"], "swan": ["10.77.0.9/24"]}
SECRET = "0sZXNwYWxpZXIgYW5kIHN0cm9uZ3N3YW4="

MESH = """mesh: interop
defaults: {{auth: {auth}, proposals: {{ike: aes256gcm16-prfsha384-x25519, esp: aes256gcm16}}{settings}}}
hosts:
  bender: {{address: 10.77.0.1, id: "{our_id}"}}
foreign:
  swan: {{address: 10.77.0.9, id: "{we_know}", start: {start}{secret}}}
"""

CONNECTION = """
connections {{
  c {{
    version = 2
    local_addrs = 10.77.0.9
    remote_addrs = 10.77.0.1
    proposals = aes256gcm16-prfsha384-x25519
    mobike = no
    dpd_delay = 0
    {more}
    local {{
      auth = {their_auth}
      id = "{their_id}"
      {certs}
    }}
    remote {{
      auth = {our_auth}
      id = "{they_know}"
      {remote_more}
    }}
    children {{
      k {{
        mode = tunnel
        local_ts = 10.77.0.9/32
        remote_ts = 10.77.0.1/32
        esp_proposals = aes256gcm16
      }}
    }}
  }}
}}
{secrets}
"""


class AuthCase(unittest.TestCase):
    HOSTS = HOSTS

    def setUp(self):
        self.lab = None
        self.addCleanup(self.close_lab)
        self.open_lab()

    def open_lab(self):
        self.close_lab()
        self.lab = lib.Lab(self.HOSTS, {})
        self.bender, self.swan = self.lab["bender"], strongswan.Swan(self.lab["swan"])

    def close_lab(self):
        if self.lab is not None:
            self.lab.close()
        self.lab = None

    def give_bender(self, issued, anchors):
        self.bender.write("private/bender.pem", pki.read(issued.key))
        self.bender.write("x509/bender.pem", issued.bundle())
        for anchor in anchors:
            self.bender.write(f"x509ca/{os.path.basename(anchor)}", pki.read(anchor))

    def give_swan(self, issued, anchors):
        shutil.copy(issued.key, f"{self.swan.folder}/private/swan.pem")
        shutil.copy(issued.certificate, f"{self.swan.folder}/x509/swan.pem")
        for path in issued.authority.intermediates():
            shutil.copy(path, f"{self.swan.folder}/x509/")
        for anchor in anchors:
            shutil.copy(anchor, f"{self.swan.folder}/x509ca/")

    def connect(self, ours, theirs, initiator="bender", our_id="bender", their_id="swan", we_know=None,
                they_know=None, our_anchors=None, their_anchors=None, settings="", swan_auth="pubkey",
                swan_our_auth="pubkey", swan_more="", remote_more=""):
        """ours, theirs: what pki.Authority.issue() made, or None for a shared secret."""
        if ours:
            self.give_bender(ours, our_anchors or [theirs.authority.root().certificate])
            self.give_swan(theirs, their_anchors or [ours.authority.root().certificate])
        else:
            self.bender.write("private/swan.secret", SECRET + "\n")
            swan_auth = swan_our_auth = "psk"
        self.initiator = initiator
        self.bender.write("private/mesh.secret", lib.new_secret() + "\n")
        self.bender.write("mesh.yaml", MESH.format(
            auth="cert" if ours else "psk", settings=settings, our_id=our_id, we_know=we_know or their_id,
            start="now" if initiator == "bender" else "none",
            secret="" if ours else ', secret: "file:swan.secret"'), 0o644)
        self.swan.put("swanctl.conf", CONNECTION.format(
            their_auth=swan_auth, our_auth=swan_our_auth, their_id=their_id, they_know=they_know or our_id,
            certs="certs = swan.pem" if theirs else "", more=swan_more, remote_more=remote_more,
            secrets="" if ours else f"secrets {{ ike-1 {{ secret = {SECRET} }} }}"))
        self.swan.start()
        self.swan.command("load-all", "--file", f"{self.swan.folder}/swanctl.conf", "--noprompt")
        self.bender.start()
        lib.wait_for("espalierd answers", self.bender.status, 15)
        if initiator == "swan":
            self.swan.initiate(check=False)

    def logs(self):
        return f"--- espalierd\n{self.bender.daemon.log()[-3000:]}\n--- charon\n{self.swan.log()[-4000:]}"

    def is_up(self):
        return (self.bender.pair("swan") or {}).get("state") == "up" and self.swan.sas()[1]

    def assert_up(self):
        try:
            lib.wait_for("the pair is up on both ends", self.is_up, 20)
        except lib.LabError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None
        self.assertEqual(self.bender.ping("10.77.0.9", 2), 2)

    def assert_refused(self, *words):
        """Not up, and the daemon's log says each of the words."""
        try:
            for word in words:
                lib.wait_for(word, lambda w=word: w in self.bender.daemon.log(), 15)
        except lib.LabError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None
        self.assertEqual(self.swan.sas()[1], [], self.logs())
