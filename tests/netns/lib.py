"""Hosts in network namespaces, joined by a bridge that plays the internet; espalierd on them.

Python's own library only. Used by tests/netns, tests/interop and tools/demo.py. Every process that is
started dies with the one that started it (PR_SET_PDEATHSIG), and the next Lab removes namespaces whose
maker is gone, so that nothing outlives even a SIGKILL for long.
"""
import atexit
import ctypes
import json
import math
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BIN = os.environ.get("ESPALIER_BIN", os.path.join(SOURCE, "build", "bin"))
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
SKIP = 77  # the exit status that ctest takes for "skipped"


class LabError(Exception):
    """A step of a test bed failed; the text says which and what it printed."""


def skip(reason):
    print(f"\n*** SKIPPED, NOT TESTED: {reason} ***\n", flush=True)
    sys.exit(SKIP)


def need_root():
    if os.geteuid() != 0:
        skip("network namespaces need root")


def die_with_parent():
    LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


def run(argv, check=True, timeout=60, text_input=None):
    """Runs a command to its end. Returns the CompletedProcess, stdout and stderr in one text."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
                          input=text_input, preexec_fn=die_with_parent)
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}")
    return done


def wait_for(what, condition, timeout, interval=0.1):
    """Calls condition until it is true; its value is returned. LabError says what was waited for."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"waited {timeout} s in vain: {what}")
        time.sleep(interval)


def remove_stale_labs(prefix="et"):
    """Namespaces of labs whose process is gone: named PREFIX<pid>-HOST."""
    try:
        names = os.listdir("/run/netns")
    except FileNotFoundError:
        return
    for name in names:
        match = re.fullmatch(prefix + r"(\d+)-.*", name)
        if match and not os.path.exists(f"/proc/{match.group(1)}"):
            remove_namespace(name)


def remove_namespace(name):
    """Ends what runs inside, and removes it. Not being there is fine."""
    if not os.path.exists(f"/run/netns/{name}"):
        return
    for pid in run(["ip", "netns", "pids", name], check=False).stdout.split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except (ProcessLookupError, ValueError):
            pass
    run(["ip", "netns", "del", name], check=False)


class Process:
    """A background process with its output in a file."""

    def __init__(self, argv, log, env=None, outlive=False):
        self.log_path = log
        self._log = open(log, "ab")
        self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                                      preexec_fn=os.setsid if outlive else die_with_parent, env=env)
        self.pid = self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self, how=signal.SIGTERM, timeout=10):
        """Sends a signal and waits. Returns the exit status."""
        if self.alive():
            self.popen.send_signal(how)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise LabError(f"process {self.pid} did not end within {timeout} s of signal {how}\n{self.log()[-2000:]}")


class Host:
    """One namespace with its addresses, its folders and, once started, its espalierd."""

    def __init__(self, lab, name, addresses, subnets):
        self.lab, self.name, self.addresses, self.subnets = lab, name, addresses, subnets
        self.netns = f"{lab.prefix}-{name}"
        self.folder = os.path.join(lab.folder, name)
        self.config, self.state, self.rundir = (os.path.join(self.folder, d) for d in ("etc", "lib", "run"))
        for folder in (self.config, os.path.join(self.config, "private"), self.state, self.rundir):
            os.makedirs(folder, mode=0o700)
        self.daemon = None

    # The inner address of a subnet: its first one, which this host has itself.
    def subnet_addresses(self):
        return [first_address(subnet) for subnet in self.subnets]

    def inside(self, argv):
        return ["nsenter", f"--net=/run/netns/{self.netns}", "--", *argv]

    def run(self, argv, check=True, timeout=60, text_input=None):
        return run(self.inside(argv), check, timeout, text_input)

    def ip(self, *words, check=True):
        return run(["ip", "-n", self.netns, *words], check).stdout

    def spawn(self, argv, log_name, env=None):
        process = Process(self.inside(argv), os.path.join(self.folder, log_name), env, self.lab.outlive)
        self.lab.processes.append(process)
        return process

    def write(self, path, text, mode=0o600):
        full = os.path.join(self.config, path)
        os.makedirs(os.path.dirname(full), mode=0o700, exist_ok=True)
        with open(os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(full, mode)

    def start(self, *extra):
        self.daemon = self.spawn(
            [os.path.join(BIN, "espalierd"), "--config", self.config, "--state", self.state, "--run", self.rundir,
             "--self", self.name, *extra], "espalierd.log")
        return self.daemon

    def espalier(self, *words, check=True, timeout=60):
        return self.run([os.path.join(BIN, "espalier"), "--run", self.rundir, *words], check, timeout)

    def status(self):
        """The value of `status --json`; None while no daemon answers."""
        done = self.run([os.path.join(BIN, "espalier"), "--run", self.rundir, "status", "--json"], check=False)
        try:
            # Exit 1 says that a pair is not up; the status is there all the same.
            return json.loads(done.stdout) if done.returncode in (0, 1) else None
        except json.JSONDecodeError:
            return None

    def pair(self, peer):
        status = self.status()
        for pair in status["pairs"] if status else []:
            if pair["peer"] == peer:
                return pair
        return None

    def pairs_up(self):
        status = self.status()
        return sum(1 for pair in status["pairs"] if pair["state"] == "up") if status else 0

    def spis(self, peer):
        pair = self.pair(peer)
        if not pair or not pair["ike"]:
            return None
        return (pair["ike"]["spi_local"], pair["ike"]["spi_remote"],
                sorted((c["spi_in"], c["spi_out"]) for c in pair["children"]))

    def ping(self, address, count=1, timeout=2, source=None, pattern=None, interval=0.2):
        """How many answers came."""
        more = [*(["-I", source] if source else []), *(["-p", pattern] if pattern else [])]
        argv = ping_command(address, count, interval, timeout, *more)
        return answered(self.run(argv, check=False, timeout=count * interval + timeout + 30).stdout, count)


FLOW = 60  # seconds


def ping_command(address, count, interval=0.2, timeout=2, *more):
    """Pings until `count` are answered, for `timeout` seconds longer than they take at the most; answered() counts. A flow
    takes a slow guest longer: give it FLOW. Without -w, ping waits for its last answer but two round trips once it had
    others, whatever -W says: on a busy machine that makes losses where there are none."""
    seconds = math.ceil(count * interval + timeout)
    return ["ping", "-n", "-c", str(count), "-i", str(interval), "-w", str(seconds), *more, address]


def answered(output, count):
    """How many of the first `count` pings, of what ping_command() said."""
    return len({int(n) for n in re.findall(r"icmp_seq=(\d+) ttl", output)} & set(range(1, count + 1)))


def first_address(subnet):
    base, _, _ = subnet.partition("/")
    return base[:-1] + "1" if base.endswith("0") else base + "1"


class Lab:
    """Hosts on one bridge. hosts: {name: [address/len, ...]}; subnets: {name: [prefix, ...]}."""

    made = 0  # labs of this process; a number keeps their names apart

    def __init__(self, hosts, subnets=None, prefix=None, folder=None, mtu=1500, outlive=False):
        remove_stale_labs()
        self.outlive = outlive  # processes go on when this one ends
        Lab.made += 1
        self.prefix = prefix or f"et{os.getpid()}-{Lab.made}"
        self.processes, self.hosts, self.closed = [], {}, False
        self.folder = folder or tempfile.mkdtemp(prefix="espalier-lab-")
        self.net = f"{self.prefix}-internet"
        atexit.register(self.close)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: sys.exit(130))
        run(["ip", "netns", "add", self.net])
        self.bridge("link", "set", "lo", "up")
        self.bridge("link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        self.bridge("link", "set", "br0", "up")
        for index, (name, addresses) in enumerate(hosts.items()):
            self.add_host(name, addresses, (subnets or {}).get(name, []), index, mtu)

    def bridge(self, *words, check=True):
        return run(["ip", "-n", self.net, *words], check).stdout

    def add_host(self, name, addresses, subnets, index, mtu=1500):
        host = Host(self, name, addresses, subnets)
        self.hosts[name] = host
        run(["ip", "netns", "add", host.netns])
        self.bridge("link", "add", f"p{index}", "type", "veth", "peer", "name", "eth0", "netns", host.netns)
        self.bridge("link", "set", f"p{index}", "master", "br0", "mtu", str(mtu), "up")
        host.port = f"p{index}"
        host.ip("link", "set", "lo", "up")
        for address in addresses:
            host.ip("addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
        # No dummy device is needed: an address of the subnet on lo plays the host behind this one.
        for subnet, address in zip(subnets, host.subnet_addresses()):
            host.ip("addr", "add", f"{address}/{subnet.split('/')[1]}", "dev", "lo",
                    *(["nodad"] if ":" in address else []))
        host.ip("link", "set", "eth0", "mtu", str(mtu), "up")
        host.run(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"])
        return host

    def __getitem__(self, name):
        return self.hosts[name]

    def write_all(self, inventory, secret):
        for host in self.hosts.values():
            host.write("mesh.yaml", inventory, 0o644)
            host.write("private/mesh.secret", secret + "\n")

    def start_all(self):
        for host in self.hosts.values():
            host.start()

    def wait_up(self, timeout=30, expect=None, hosts=None):
        """Until every host says that all (or expect) pairs are up. Returns the seconds it took."""
        start = time.monotonic()
        names = hosts or list(self.hosts)
        missing = list(names)

        def all_up():
            for name in list(missing):
                host = self.hosts[name]
                if host.daemon and not host.daemon.alive():
                    raise LabError(f"espalierd on {name} ended:\n{host.daemon.log()[-3000:]}")
                if host.pairs_up() >= (len(self.hosts) - 1 if expect is None else expect):
                    missing.remove(name)
            return not missing

        try:
            wait_for("pairs up", all_up, timeout)
        except LabError as error:
            tails = "\n".join(f"--- {n}: {self.hosts[n].pairs_up()} up\n{self.hosts[n].daemon.log()[-1500:]}"
                              for n in missing if self.hosts[n].daemon)
            raise LabError(f"{error}\n{tails}") from None
        return time.monotonic() - start

    def know_all_neighbours(self):
        """Fixed link addresses for all hosts at all hosts. The kernel's neighbour tables are shared by every namespace
        of a machine (1024 entries unless gc_thresh3 says otherwise): fifty hosts that learn each other overflow them.
        Fixed entries do not count."""
        links = {}
        for host in self.hosts.values():
            link = json.loads(run(["ip", "-n", host.netns, "-j", "link", "show", "eth0"]).stdout)[0]["address"]
            links.update({address.split("/")[0]: (host.name, link) for address in host.addresses})
        for host in self.hosts.values():
            lines = [f"neigh replace {address} lladdr {link} dev eth0 nud permanent"
                     for address, (name, link) in links.items() if name != host.name]
            run(["ip", "-n", host.netns, "-batch", "-"], text_input="\n".join(lines) + "\n")

    def close(self):
        if self.closed:
            return
        self.closed = True
        # A second Ctrl-C must not leave half of it behind.
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        for process in self.processes:
            if process.alive():
                process.popen.kill()
        for process in self.processes:
            process.popen.wait()
        # Each removal waits for the kernel: all at once, or fifty hosts take minutes.
        removals = [threading.Thread(target=remove_namespace, args=(name,))
                    for name in [h.netns for h in self.hosts.values()] + [self.net]]
        for removal in removals:
            removal.start()
        for removal in removals:
            removal.join()
        if not os.environ.get("ESPALIER_KEEP_LOGS"):
            shutil.rmtree(self.folder, ignore_errors=True)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def in_netns(name, call):
    """What call returns when it runs in the namespace, in a thread of its own: a socket stays there."""
    result = []

    def enter():
        with open(f"/run/netns/{name}", "rb") as file:
            if LIBC.setns(file.fileno(), CLONE_NEWNET) != 0:
                result.append(OSError(ctypes.get_errno(), f"setns {name}"))
                return
        try:
            result.append(call())
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


class Packet:
    """One frame on the wire, as far as the tests look into it."""

    def __init__(self, frame):
        self.frame, self.version, self.protocol = frame, 0, None
        self.src = self.dst = None
        self.sport = self.dport = None
        kind = struct.unpack("!H", frame[12:14])[0]
        self.fragment = False
        if kind == 0x0800 and len(frame) >= 34:
            self.version, head = 4, (frame[14] & 15) * 4
            self.protocol = frame[23]
            self.src, self.dst = (socket.inet_ntop(socket.AF_INET, frame[o:o + 4]) for o in (26, 30))
            self.fragment = struct.unpack("!H", frame[20:22])[0] & 0x1FFF != 0
            start = 14 + head
        elif kind == 0x86DD and len(frame) >= 54:
            self.version, self.protocol, start = 6, frame[20], 54
            self.src, self.dst = (socket.inet_ntop(socket.AF_INET6, frame[o:o + 16]) for o in (22, 38))
            if self.protocol == 0:  # hop-by-hop: multicast listener reports
                self.protocol, start = frame[54], 54 + (frame[55] + 1) * 8
        else:
            return
        self.payload = frame[start:]
        if self.protocol == 17 and not self.fragment and len(self.payload) >= 8:
            self.sport, self.dport = struct.unpack("!HH", self.payload[:4])

    def is_ip(self):
        return self.version != 0

    def is_ipsec(self):
        """IKE, or ESP, bare or in UDP."""
        if self.protocol == 50:
            return True
        return self.protocol == 17 and (self.fragment or bool({self.sport, self.dport} & {500, 4500}))

    def is_link_upkeep(self):
        """Neighbour discovery and multicast listener reports."""
        return self.protocol == 58 and self.payload[0] in (130, 131, 132, 133, 134, 135, 136, 137, 143)

    def is_refusal_of_ipsec(self):
        """Destination unreachable that quotes IKE or ESP in UDP: from a host whose daemon has never run yet."""
        kind, head = {1: (3, 20), 58: (1, 40)}.get(self.protocol, (None, 0))
        quoted = self.payload[8:] if kind is not None and self.payload[:1] == bytes([kind]) else b""
        if len(quoted) < head + 4 or quoted[9 if head == 20 else 6] != 17:
            return False
        return struct.unpack("!H", quoted[head + 2:head + 4])[0] in (500, 4500)

    def __str__(self):
        ports = f" {self.sport}->{self.dport}" if self.sport is not None else ""
        return f"{self.src} > {self.dst} proto {self.protocol}{ports} {len(self.frame)} octets"


class Wire:
    """Listens where hosts enter the bridge and keeps every frame, once; of one host if it is given."""

    LIMIT = 400_000  # frames kept; more are counted only

    def __init__(self, lab, host=None):
        self._port = host.port if host else None
        self._socket = in_netns(lab.net, self._open)
        self.frames, self.total = [], 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @staticmethod
    def _open():
        listening = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        listening.setsockopt(socket.SOL_SOCKET, 33, 1 << 25)  # SO_RCVBUFFORCE
        return listening

    def _listen(self):
        while not self._stop.is_set():
            ready, _, _ = select.select([self._socket], [], [], 0.1)
            if ready:
                frame, (device, _, kind, *_) = self._socket.recvfrom(65535)
                if kind == 4 or not device.startswith("p") or self._port not in (None, device):
                    continue  # PACKET_OUTGOING: the same frame leaving by another port
                self.total += 1
                if len(self.frames) < self.LIMIT:
                    self.frames.append(frame)

    def stop(self):
        time.sleep(0.2)  # what is on its way
        self._stop.set()
        self._thread.join()
        self._socket.close()
        return [Packet(frame) for frame in self.frames]


def leaks(packets, addresses):
    """Packets between two of the addresses that are neither IPsec nor link upkeep."""
    bare = {address.split("/")[0] for address in addresses}
    return [p for p in packets
            if p.is_ip() and p.src in bare and p.dst in bare and not p.is_ipsec() and not p.is_link_upkeep()
            and not p.is_refusal_of_ipsec()]


def inventory(name, hosts, subnets=None, extra=""):
    """A mesh.yaml. hosts: {name: [address/len, ...]}."""
    lines = [f"mesh: {name}", "hosts:"]
    for host, addresses in hosts.items():
        bare = ", ".join(f'"{a.split("/")[0]}"' for a in addresses)
        behind = (subnets or {}).get(host, [])
        tail = f", subnets: [{', '.join(chr(34) + s + chr(34) for s in behind)}]" if behind else ""
        lines.append(f"  {host}: {{address: [{bare}]{tail}}}")
    return "\n".join(lines) + "\n" + extra


def new_secret():
    return run([os.path.join(BIN, "espalier"), "secret", "new"]).stdout.strip()


THREE = {"bender": ["10.77.0.1/24", "fd77::1/64"], "flexo": ["10.77.0.2/24", "fd77::2/64"],
         "amy": ["10.77.0.3/24", "fd77::3/64"]}
THREE_SUBNETS = {"amy": ["10.3.0.0/24"]}
