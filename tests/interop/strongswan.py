"""strongSwan's charon in a namespace of tests/netns/lib.py: the foreign peer. ESP is kernel-libipsec's, so
that no kernel with ESP is needed: tunnel mode, ESP in UDP, no ESN. On a host of the lab kernel (tests/lab/guest.py) it is
that kernel's."""
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "netns"))
import lib  # noqa: E402

CHARON, SWANCTL, PKI = "/usr/sbin/charon-systemd", "/usr/sbin/swanctl", "/usr/bin/pki"
LIBIPSEC = "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so"

DAEMON = """
charon-systemd {{
  load_modular = no
  # kernel-libipsec stands before kernel-netlink, or the kernel's ESP is asked first.
  load = random nonce openssl curve25519 aes gcm ccm chapoly ctr sha1 sha2 hmac kdf pem pkcs1 pkcs8 x509 pubkey constraints revocation socket-default vici {kernel}
  install_routes = yes
  make_before_break = yes
  retransmit_base = 1.4
  retransmit_timeout = 1.0
  retransmit_tries = {retransmits}
  filelog {{ log {{
    path = {folder}/charon.log
    default = 1
    ike = 2
    cfg = 2
    knl = 1
    flush_line = yes
    time_format = %H:%M:%S
  }} }}
  plugins {{
    vici {{ socket = unix://{sockets}/vici }}
    {plugins}
  }}
}}
"""
LIBIPSEC_PLUGINS = """# Selectors that cover the outer addresses: IKE and ESP in UDP stay out of the TUN by this mark.
    kernel-libipsec { allow_peer_ts = yes }
    kernel-netlink { fwmark = !0x42 }
    socket-default { fwmark = 0x42 }"""
COMMAND = """
swanctl {
  load_modular = no
  load = random nonce openssl pem pkcs1 pkcs8 x509 pubkey constraints
}
"""
CONNECTION = """
connections {{
  c {{
    version = 2
    local_addrs = {local}
    remote_addrs = {remote}
    proposals = {ike}
    mobike = no
    dpd_delay = 0
    {more}
    local {{
      auth = {auth}
      id = {local_id}
      {certs}
    }}
    remote {{
      auth = {auth}
      id = {remote_id}
    }}
    children {{
      k {{
        mode = tunnel
        local_ts = {local_ts}
        remote_ts = {remote_ts}
        esp_proposals = {esp}
        start_action = none
        {child_more}
      }}
    }}
  }}
}}
{secrets}
"""


def need_strongswan():
    for path in (CHARON, SWANCTL, PKI, LIBIPSEC):
        if not os.path.exists(path):
            lib.skip(f"{path} is missing (tools/packages.txt names strongSwan's packages; ./run test installs them)")


class Swan:
    """charon on a host of a lab."""

    def __init__(self, host, retransmits=4):
        """retransmits: so often, and then charon drops the IKE SA without a word."""
        self.host = host
        self.folder = os.path.join(host.folder, "swan")
        for name in ("x509", "x509ca", "private", "rsa", "ecdsa", "pkcs8"):
            os.makedirs(os.path.join(self.folder, name), mode=0o700)
        # Copies, because AppArmor binds Debian's profiles to the paths in /usr/sbin, and they may not read here.
        self.charon, self.swanctl = (shutil.copy(p, self.folder) for p in (CHARON, SWANCTL))
        in_guest = hasattr(host, "guest")  # a folder of this machine's holds no socket of that kernel's
        self.sockets = host.inner if in_guest else self.folder
        self.daemon_conf = DAEMON.format(
            folder=self.folder, sockets=self.sockets, retransmits=retransmits, plugins="" if in_guest else LIBIPSEC_PLUGINS,
            kernel="kernel-netlink" if in_guest else "kernel-libipsec kernel-netlink")
        self.put("strongswan.conf", self.daemon_conf)
        self.put("swanctl-strongswan.conf", COMMAND)
        self.process = None

    def put(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def options(self, lines):
        """Options of charon's own section, before it starts."""
        self.put("strongswan.conf", self.daemon_conf.replace("install_routes", lines + "\n  install_routes", 1))

    def environment(self, conf):
        return {**os.environ, "STRONGSWAN_CONF": os.path.join(self.folder, conf), "SWANCTL_DIR": self.folder}

    def start(self):
        self.process = self.host.spawn([self.charon], "charon.out", self.environment("strongswan.conf"))
        socket = os.path.join(self.sockets, "vici")

        def ready():
            if not self.process.alive():
                raise lib.LabError(f"charon ended:\n{self.process.log()}\n{self.log()[-2000:]}")
            return self.host.run(["test", "-S", socket], check=False).returncode == 0

        lib.wait_for("charon's VICI socket", ready, 15)

    def log(self):
        try:
            with open(os.path.join(self.folder, "charon.log"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def command(self, verb, *words, check=True, timeout=30):
        environment = self.environment("swanctl-strongswan.conf")
        settings = [f"{k}={environment[k]}" for k in ("STRONGSWAN_CONF", "SWANCTL_DIR")]
        done = self.host.run(["env", *settings, self.swanctl, f"--{verb}", "--uri", f"unix://{self.sockets}/vici", *words],
                             check=False, timeout=timeout)
        if check and done.returncode != 0:
            raise lib.LabError(f"swanctl --{verb}: exit {done.returncode}\n{done.stdout}\n{self.log()[-3000:]}")
        return done

    def load(self, peer, ike, esp, auth="psk", secret=None, remote_ts=None, local_ts=None, remote_id=None,
             more="", child_more="", ppk=None, local=None):
        """One connection c with the child k to a lab host. secret: for psk, as swanctl writes it. more and child_more:
        lines of the connection and of its child. ppk: (id, secret) of a post-quantum key. local: its addresses."""
        secrets = ""
        if auth == "psk":
            secrets = (f"secrets {{ ike-1 {{\n  secret = {secret}\n  id-1 = {self.host.name}\n"
                       f"  id-2 = {remote_id or peer.name}\n}} }}")

        if ppk:
            secrets += f"\nsecrets {{ ppk-1 {{\n  secret = {ppk[1]}\n  id-1 = {ppk[0]}\n}} }}"

        def bare(host):
            return [a.split("/")[0] for a in host.addresses]

        def selectors(host):
            return ",".join([a + ("/128" if ":" in a else "/32") for a in bare(host)] + host.subnets)

        self.put("swanctl.conf", CONNECTION.format(
            local=local or bare(self.host)[0], remote=bare(peer)[0], ike=ike, esp=esp, secrets=secrets, more=more,
            child_more=child_more,
            auth="psk" if auth == "psk" else "pubkey", local_id=self.host.name, remote_id=remote_id or peer.name,
            certs="" if auth == "psk" else f"certs = {self.host.name}.pem",
            local_ts=local_ts or selectors(self.host), remote_ts=remote_ts or selectors(peer)))
        return self.command("load-all", "--file", os.path.join(self.folder, "swanctl.conf"), "--noprompt")

    def initiate(self, check=True):
        return self.command("initiate", "--child", "k", "--timeout", "20", check=check)

    def terminate(self):
        return self.command("terminate", "--ike", "c", "--timeout", "10", check=False)

    def rekey(self, ike=False):
        return self.command("rekey", *(["--ike", "c"] if ike else ["--child", "k"]))

    def sas(self):
        """((initiator SPI, responder SPI) of each IKE SA, sorted (SPI in, SPI out) of each child). charon keeps a
        replaced child for some seconds, for packets on their way: those are left out."""
        text = self.command("list-sas").stdout
        blocks = re.split(r"^(?=\s+\w+: #\d+, reqid )", text, flags=re.M)
        text = "".join(block for block in blocks
                       if not re.match(r"\s+\w+: #\d+, reqid \d+, (REKEYED|DELETING|DELETED)", block))
        ike = re.findall(r"^c: #\d+, ESTABLISHED, IKEv2, ([0-9a-f]+)_i\*? ([0-9a-f]+)_r", text, re.M)
        inbound = re.findall(r"^\s+in  ([0-9a-f]{8})", text, re.M)
        outbound = re.findall(r"^\s+out ([0-9a-f]{8})", text, re.M)
        return ike, sorted(zip(inbound, outbound))


class Authority:
    """A certificate authority made with strongSwan's pki."""

    def __init__(self, folder, kind="ecdsa", size="256"):
        self.folder, self.kind, self.size = folder, kind, size
        os.makedirs(folder, exist_ok=True)
        self.key = self.make_key("ca")
        self.certificate = self.path("ca.pem")
        self.write(self.certificate, ["--self", "--ca", "--in", self.key, "--type", self.kind, "--lifetime", "30",
                                      "--dn", "CN=Lab CA", "--outform", "pem"])

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, path, words):
        text = lib.run([PKI, *words]).stdout
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(text)

    def make_key(self, name):
        path = self.path(f"{name}.key")
        size = [] if self.kind == "ed25519" else ["--size", self.size]
        self.write(path, ["--gen", "--type", self.kind, *size, "--outform", "pem"])
        return path

    def issue(self, name):
        """(key file, certificate file) for a host; its name is the certificate's dNSName."""
        key, certificate = self.make_key(name), self.path(f"{name}.pem")
        public = self.path(f"{name}.pub")
        self.write(public, ["--pub", "--in", key, "--type", "priv", "--outform", "pem"])
        self.write(certificate, ["--issue", "--in", public, "--type", "pub", "--cacert", self.certificate,
                                 "--cakey", self.key, "--lifetime", "20", "--dn", f"CN={name}", "--san", name,
                                 "--outform", "pem"])
        return key, certificate
