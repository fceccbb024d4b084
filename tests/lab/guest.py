"""What tests do with the kernel of ./run lab."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.abspath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(SOURCE, "tests", "netns"))
import lib  # noqa: E402

LAB = [sys.executable, os.path.join(SOURCE, "tools", "lab", "lab.py")]
SKIP = 77  # the exit status that ctest takes for "skipped"


def why_not():
    """Why no such kernel can run here; None where one can. The bare kernel is asked, without anything of ours: a
    fault in tools/lab must fail tests, never skip them."""
    if os.geteuid() != 0:
        return "the lab kernel needs root"
    program = shutil.which("linux.uml")
    if not program or not glob.glob("/usr/lib/uml/modules/*/kernel"):
        return "User-Mode Linux is not installed (tools/packages.txt, group lab; ./run test installs it)"
    scratch = tempfile.mkdtemp(prefix="espalier-lab-")
    try:
        # With /bin/true for its first process, a kernel that works ends by saying that this one ended.
        said = subprocess.run([program, "mem=128M", "root=none", "rootfstype=hostfs", "rootflags=/", "ro", "init=/bin/true",
                               f"uml_dir={scratch}/", "con=null", "con0=null,fd:1", "panic=-1"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False,
                              env={**os.environ, "TMPDIR": scratch}).stdout.decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"User-Mode Linux does not run on this machine: {error}"
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return None if "Attempted to kill init" in said else \
        f"User-Mode Linux does not run on this machine: {said[-600:]}"


def need_kernel():
    reason = why_not()
    if reason:
        print(f"\n*** SKIPPED, NOT TESTED: {reason} ***\n", flush=True)
        sys.exit(SKIP)


def why_not_stock():
    """Why Debian's own kernel cannot be emulated here; None where it can. A kernel that is there and does not come up
    fails the tests."""
    sys.path.insert(0, os.path.join(SOURCE, "tools", "lab"))
    import kernels  # pylint: disable=import-outside-toplevel
    if os.geteuid() != 0:
        return "the lab kernel needs root"
    lacking = kernels.StockLinux().lacking()
    return lacking and f"{lacking} (./run test --long installs it)"


class Guest:
    """A lab kernel that takes commands, joined to the bridge of a tests/netns/lib.py Lab by a TAP device. A folder is
    shared with it: .folder, at the same path on both sides."""

    def __init__(self, lab, timeout=900, memory=512, kernel="uml"):
        self.lab, self.names, self.kernel = lab, [], kernel
        self.folder = os.path.join(lab.folder, "guest")
        os.mkdir(self.folder, 0o700)
        self.lock = threading.Lock()
        lab.bridge("tuntap", "add", "p-guest", "mode", "tap")
        lab.bridge("link", "set", "p-guest", "master", "br0", "up")
        # Segments larger than the wire's would wait in the TAP for a guest that cannot take them.
        lib.run(["nsenter", f"--net=/run/netns/{lab.net}", "ethtool", "-K", "p-guest", "tx", "off", "sg", "off", "tso", "off",
                 "gso", "off", "gro", "off"])
        self.errors = open(os.path.join(lab.folder, "guest.err"), "w+b")  # pylint: disable=consider-using-with
        started = time.monotonic()
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{lab.net}", "--", *LAB, "--kernel", kernel, "--tap", "p-guest", "--share", self.folder,
             "--stdin", "--timeout", str(timeout), "--memory", str(memory), sys.executable, os.path.join(HERE, "agent.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, preexec_fn=lib.die_with_parent)
        lab.guests = [*getattr(lab, "guests", []), self]
        self.release = self.answer()["ready"]
        self.boot_seconds = time.monotonic() - started
        self.check("ip", "-batch", self.write("bridge", "link add br0 type bridge forward_delay 0 mcast_snooping 0\n"
                                              "link set br0 up\nlink set vec0 master br0\nlink set vec0 up\n"))

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise lib.LabError(f"the guest ended, exit {self.process.returncode}: "
                               f"{self.errors.read()[-3000:].decode(errors='replace')}")
        return json.loads(line)

    def ask(self, request):
        line = json.dumps(request) + "\n"
        if len(line) > 4000:
            raise lib.LabError(f"a request of {len(line)} octets is too long for the guest's terminal line: {line[:100]}")
        with self.lock:
            self.process.stdin.write(line)
            self.process.stdin.flush()
            answer = self.answer()
        if "error" in answer:
            raise lib.LabError(f"{line.strip()}: {answer['error']}")
        return answer

    def run(self, argv, timeout=60, env=None):
        """(exit status, standard output and error in one text)."""
        answer = self.ask({"run": argv, "timeout": timeout, "env": env or {}})
        return answer["status"], answer["output"]

    def check(self, *argv, timeout=60):
        status, output = self.run(list(argv), timeout)
        if status != 0:
            raise lib.LabError(f"in the guest, {' '.join(argv)}: exit {status}\n{output}")
        return output

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # what was not sent yet
        self.process.stdout.close()
        self.errors.close()


class GuestProcess:
    """As lib.Process, in the guest."""

    def __init__(self, guest, argv, log, env=None):
        self.guest, self.log_path = guest, log
        self.pid = guest.ask({"spawn": argv, "log": log, "env": env or {}})["pid"]

    def alive(self):
        return self.guest.ask({"status": self.pid})["status"] is None

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def wait(self, timeout=60):
        return self.guest.ask({"status": self.pid, "wait": timeout})["status"]

    def stop(self, how=signal.SIGTERM, timeout=10):
        status = self.guest.ask({"status": self.pid, "signal": int(how), "wait": timeout})["status"]
        if status is None:
            self.guest.ask({"status": self.pid, "signal": int(signal.SIGKILL), "wait": 5})
            raise lib.LabError(f"process {self.pid} of the guest did not end within {timeout} s of signal {how}\n"
                               f"{self.log()[-2000:]}")
        return status


class GuestHost:
    """A host in a namespace of the guest, on the same wire as the lab's own. As lib.Host, where tests need it."""

    def __init__(self, guest, name, addresses, subnets=()):
        self.guest, self.name, self.addresses, self.subnets = guest, name, addresses, list(subnets)
        self.folder = os.path.join(guest.folder, name)
        self.inner = f"/run/peer-{name}"  # sockets: a folder of this machine's cannot hold them
        os.mkdir(self.folder, 0o700)
        self.port = f"p{len(guest.names)}"
        guest.names.append(name)
        inside = ["link set lo up", "link set eth0 up", *(f"addr add {a} dev eth0{' nodad' if ':' in a else ''}" for a in addresses),
                  *(f"addr add {lib.first_address(s)}/{s.split('/')[1]} dev lo" for s in self.subnets)]
        guest.check("ip", "-batch", guest.write(f"{name}/outside", f"netns add {name}\n"
                    f"link add {self.port} type veth peer name eth0 netns {name}\nlink set {self.port} master br0 up\n"))
        guest.check("ip", "-n", name, "-batch", guest.write(f"{name}/inside", "\n".join(inside) + "\n"))
        guest.check("mkdir", "-m", "700", self.inner)

    def inside(self, argv):
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *argv]

    def run(self, argv, check=True, timeout=60, env=None):
        status, output = self.guest.run(self.inside(argv), timeout, env)
        if check and status != 0:
            raise lib.LabError(f"on {self.name}, {' '.join(argv)}: exit {status}\n{output}")
        return subprocess.CompletedProcess(argv, status, output)

    def spawn(self, argv, log_name, env=None):
        own = {k: v for k, v in (env or {}).items() if os.environ.get(k) != v}  # the rest is passed anyway
        return GuestProcess(self.guest, self.inside(argv), os.path.join(self.folder, log_name), own)

    def ip(self, *words, check=True):
        status, output = self.guest.run(["ip", "-n", self.name, *words])
        if check and status != 0:
            raise lib.LabError(f"on {self.name}, ip {' '.join(words)}: exit {status}\n{output}")
        return output

    def ping(self, address, count=1, timeout=2, source=None, interval=0.2):
        """How many answers came."""
        argv = lib.ping_command(address, count, interval, timeout, *(["-I", source] if source else []))
        return lib.answered(self.run(argv, check=False, timeout=count * interval + timeout + 30).stdout, count)

    def impair(self, *netem):
        """tc's words for netem (loss 10%), in both directions between this host and everything else; none: a clean wire."""
        for device, where in ((self.port, []), ("eth0", ["-n", self.name])):
            self.guest.run(["tc", *where, "qdisc", "del", "dev", device, "root"])
            if netem:
                self.guest.check("tc", *where, "qdisc", "add", "dev", device, "root", "netem", *netem)

    def esp_spis(self):
        """The SPIs of the kernel's ESP SAs: (of packets to this host, of packets from it)."""
        own = {address.split("/")[0] for address in self.addresses}
        to_us, from_us = set(), set()
        for _, destination, spi in re.findall(r"src (\S+) dst (\S+)\n\s+proto esp spi 0x([0-9a-f]+)", self.ip("xfrm", "state")):
            (to_us if destination in own else from_us).add(int(spi, 16))
        return to_us, from_us
