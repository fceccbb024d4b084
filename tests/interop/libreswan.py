"""libreswan's pluto in a namespace of the lab kernel (tests/lab/guest.py): a foreign peer whose ESP is a kernel's."""
import os
import re
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lab"))
import guest  # noqa: E402
from guest import lib  # noqa: E402

# Unpacked, not installed: the package conflicts with strongSwan's.
TREE = os.path.join(guest.SOURCE, "build", "peers", "libreswan")
TOOLS = "/usr/libexec/ipsec"  # in the guest, where `ipsec _updown` looks for them

SETUP = """
config setup
  protostack=xfrm
  {setup}
"""
CONNECTION = """
conn c
  ikev2=insist
  type=tunnel
  left={own}
  leftid={own_id}
  right={peer}
  rightid={peer_id}
  {auth}
  ike={ike}
  esp={esp}
  retransmit-interval=300
  retransmit-timeout=10s
  auto=ignore
  {more}
"""


def need_libreswan():
    if not os.path.exists(os.path.join(TREE, "usr", "libexec", "ipsec", "pluto")):
        lib.skip("libreswan is missing (the group unpack of tools/packages.txt; ./run test fetches it)")


class Pluto:
    """pluto on a guest.GuestHost."""

    def __init__(self, host):
        self.host, self.process, self.started = host, None, 0
        self.folder = os.path.join(host.folder, "libreswan")
        os.makedirs(os.path.join(self.folder, "ipsec.d"), mode=0o700)
        self.nss = os.path.join(self.folder, "nss")
        self.new_store()
        host.guest.check("sh", "-c", f"[ -e {TOOLS}/pluto ] || {{ mkdir -p {TOOLS} && cp -a {TREE}{TOOLS}/. {TOOLS}/ && "
                         f"cp {TREE}/usr/sbin/ipsec /usr/sbin/; }}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def put(self, name, text):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)

    def new_store(self):
        """An empty store of keys and certificates."""
        shutil.rmtree(self.nss, ignore_errors=True)
        os.mkdir(self.nss, 0o700)
        lib.run(["certutil", "-N", "-d", f"sql:{self.nss}", "--empty-password"])

    def give_certificate(self, key, certificate, authority):
        """PEM files: this host's, and the authority that it trusts."""
        bundle = self.path("own.p12")
        lib.run(["openssl", "pkcs12", "-export", "-inkey", key, "-in", certificate, "-name", "own", "-passout", "pass:",
                 "-out", bundle])
        lib.run(["pk12util", "-i", bundle, "-d", f"sql:{self.nss}", "-W", ""])
        lib.run(["certutil", "-A", "-d", f"sql:{self.nss}", "-n", "ca", "-t", "CT,,", "-i", authority])

    def configure(self, peer, peer_address, ike, esp, auth, more=(), secrets="", setup=(), own_id=None, peer_id=None):
        """One connection c to the peer of that name. auth: lines of ipsec.conf; secrets: lines of ipsec.secrets."""
        own = self.host.addresses[0].split("/")[0]
        self.put("ipsec.secrets", secrets)
        self.put("ipsec.conf", SETUP.format(setup="\n  ".join(setup)) + CONNECTION.format(
            own=own, own_id=own_id or f"@{self.host.name}", peer=peer_address, peer_id=peer_id or f"@{peer}", auth="\n  ".join(auth), ike=ike,
            esp=esp, more="\n  ".join(more)))

    def start(self):
        self.started += 1
        self.process = self.host.spawn(
            [f"{TOOLS}/pluto", "--nofork", "--stderrlog", "--use-xfrm", "--config", self.path("ipsec.conf"), "--rundir",
             self.host.inner, "--ipsecdir", self.path("ipsec.d"), "--nssdir", self.nss, "--secretsfile",
             self.path("ipsec.secrets")], f"pluto.{self.started}.log")
        self.log_path = self.process.log_path
        lib.wait_for("pluto listens", lambda: self.whack("--listen", check=False)[0] == 0, 20, 0.2)
        self.load()

    def load(self):
        output = self.host.run([f"{TOOLS}/addconn", "--ctlsocket", f"{self.host.inner}/pluto.ctl", "--config",
                                self.path("ipsec.conf"), "c"], check=False).stdout
        try:
            lib.wait_for("added", lambda: '"c": added' in self.log(), 5)
        except lib.LabError:
            raise lib.LabError(f"libreswan does not take its connection:\n{output}\n{self.log()[-2000:]}") from None

    def whack(self, *words, check=True):
        done = self.host.run([f"{TOOLS}/whack", "--ctlsocket", f"{self.host.inner}/pluto.ctl", "--rundir", self.host.inner,
                              *words], check=False, timeout=60)
        if check and done.returncode not in (0,):
            raise lib.LabError(f"whack {' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{self.log()[-2000:]}")
        return done.returncode, done.stdout

    def log(self):
        return self.process.log() if self.process else ""

    def initiate(self):
        """Asks pluto to begin; it does that in its own time."""
        self.whack("--name", "c", "--initiate", "--asynchronous", check=False)

    def rekey(self, ike=False):
        self.whack("--name", "c", "--rekey-ike" if ike else "--rekey-ipsec", "--asynchronous", check=False)

    def terminate(self):
        self.whack("--name", "c", "--terminate", check=False)

    def states(self):
        """(number of established IKE SAs, of established child SAs)."""
        text = self.whack("--showstates")[1]
        return len(re.findall("STATE_V2_ESTABLISHED_IKE_SA", text)), len(re.findall("STATE_V2_ESTABLISHED_CHILD_SA", text))

    def stop(self, how=signal.SIGTERM):
        """SIGKILL leaves the kernel's SAs behind, as a crash does."""
        if self.process and self.process.alive():
            self.process.stop(how, 20)
        self.process = None

    def reset(self):
        """Stops pluto and forgets what it left in the kernel."""
        self.stop(signal.SIGKILL)
        for what in ("state", "policy"):
            self.host.ip("xfrm", what, "flush")
        self.host.guest.check("sh", "-c", f"rm -rf {self.host.inner}/*")


def elapsed(start):
    return f"{time.monotonic() - start:.1f} s"
