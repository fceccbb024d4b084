"""OpenIKED's iked in a namespace of the lab kernel: a foreign peer that speaks PF_KEY with its kernel."""
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lab"))
import guest  # noqa: E402
from guest import lib  # noqa: E402

# Unpacked, not installed: the package makes a user and starts its daemon.
TREE = os.path.join(guest.SOURCE, "build", "peers", "openiked")
IKED, IKECTL = f"{TREE}/usr/sbin/iked", f"{TREE}/usr/sbin/ikectl"
CONFIGURATION = """set nomobike
ikev2 "c" {how} {mode} esp from {own_net} to {peer_net} local {own} peer {peer} \\
  ikesa enc aes-256 prf hmac-sha2-256 auth hmac-sha2-256 group {group} \\
  childsa enc aes-256 auth hmac-sha2-512 group {group} noesn \\
  srcid {own_id} dstid {peer_id} ikelifetime {ike_lifetime} lifetime {lifetime} \\
  psk "{secret}"
"""
# After its last message of configuration it drops SAs that were begun before; its log says nothing of the end of that.
SETTLES = 2.5


def need_openiked():
    if not os.path.exists(IKED):
        lib.skip("OpenIKED is missing (the group unpack of tools/packages.txt; ./run test fetches it)")


class Iked:
    """iked on a guest.GuestHost."""

    def __init__(self, host):
        self.host, self.process, self.started = host, None, 0
        # The user that it becomes, the folders that it locks itself in, and a key that it wants whatever it is for.
        host.guest.check("sh", "-c", "grep -q ^_iked: /etc/passwd || { echo '_iked:x:988:988::/var/lib/openiked/empty:/usr/sbin/nologin' "
                         ">>/etc/passwd && echo '_iked:x:988:' >>/etc/group; }; mkdir -p /var/lib/openiked/empty /etc/iked/ca /etc/iked/certs /etc/iked/crls /etc/iked/private "
                         "/etc/iked/pubkeys && [ -e /etc/iked/private/local.key ] || openssl ecparam -genkey -name prime256v1 -noout "
                         "-out /etc/iked/private/local.key; modprobe af_key")

    def start(self, how, secret, own, peer, mode="tunnel", own_net=None, peer_net=None, group="curve25519",
              ike_lifetime="3h", lifetime="1h"):
        """how: active (it initiates, and goes on doing so) or passive."""
        width = 128 if ":" in own else 32
        self.started += 1
        path = os.path.join(self.host.folder, "iked.conf")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(
                how=how, mode=mode, own=own, peer=peer, own_net=own_net or f"{own}/{width}", peer_net=peer_net or f"{peer}/{width}",
                own_id=self.host.name, peer_id="bender", secret=secret, group=group, ike_lifetime=ike_lifetime,
                lifetime=lifetime))
        self.process = self.host.spawn([IKED, "-d", "-v", "-v", "-f", path, "-s", f"{self.host.inner}/iked.sock"],
                                       f"iked.{self.started}.log")
        try:
            lib.wait_for("iked has its configuration", lambda: "config_getstatic: " in self.log(), 60, 0.2)
        except lib.LabError as error:
            raise lib.LabError(f"{error}\n{self.log()[-3000:]}") from None
        time.sleep(SETTLES)

    def ctl(self, *words):
        return self.host.run([IKECTL, "-s", f"{self.host.inner}/iked.sock", *words], check=False).stdout

    def log(self):
        return self.process.log() if self.process else ""

    def stop(self):
        """And what it left in the kernel."""
        if self.process and self.process.alive():
            self.process.stop(signal.SIGTERM, 20)
        self.process = None
        for what in ("state", "policy"):
            self.host.ip("xfrm", what, "flush")
