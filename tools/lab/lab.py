#!/usr/bin/env python3
"""./run lab: runs a command in a kernel of its own, with real ESP, AH, XFRM and netem. README.md beside says how.

This process stays outside: it relays the streams, watches the time, and holds the life line. Its child is process 1
of a PID and mount namespace in which the kernel runs; the kernel's files are on a tmpfs of that namespace. So
whatever way this ends, SIGKILL included, nothing is left: no process, no file, no mount.
"""
import argparse
import ctypes
import fcntl
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import tty

import kernels

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWPID = 0x20000, 0x20000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
HERE = os.path.dirname(os.path.abspath(__file__))
JOB = "/run/espalier-lab"  # in the namespace's own /run
TIMED_OUT, NO_GUEST = 124, 125
READY = b"ready."  # the guest's first word; it is not passed on
# Variables that mean this machine, not the guest.
NOT_PASSED = {"PATH", "HOME", "TMPDIR", "OLDPWD", "SHLVL", "_", "PWD", "XDG_RUNTIME_DIR"}


def options(argv):
    parser = argparse.ArgumentParser(
        prog="./run lab", usage="./run lab [OPTIONS] [COMMAND [ARGUMENT...]]",
        description="Runs a command as root in a kernel of its own: real ESP, AH, XFRM, netem, network namespaces. It sees "
                    "this machine's files; what it writes stays in the guest, except under --share. Without a command: a shell.",
        epilog="Exit status: the command's; 124 after the time limit, 125 when the guest ended without one, 2 for a bad option.")
    parser.add_argument("--kernel", choices=sorted(kernels.KINDS), default="uml",
                        help="uml: User-Mode Linux, quick (the default); stock: Debian's own kernel, emulated, slow, complete")
    parser.add_argument("--timeout", type=float, metavar="SECONDS",
                        help="end the guest after that long (300; a shell: no limit; 0: no limit)")
    parser.add_argument("--memory", type=int, default=512, metavar="MIB", help="the guest's memory (512)")
    parser.add_argument("--share", action="append", default=[], metavar="FOLDER",
                        help="a folder in which the guest's writing reaches this machine; may repeat")
    parser.add_argument("--tap", metavar="DEVICE",
                        help="a TAP device of the network namespace this runs in, which becomes vec0 in the guest")
    parser.add_argument("--stdin", action="store_true",
                        help="pass standard input on, as lines of text; without it the command reads nothing")
    parser.add_argument("--verbose", action="store_true", help="the kernel's messages on standard error")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help=argparse.SUPPRESS)
    chosen = parser.parse_args(argv)
    if chosen.command[:1] == ["--"]:
        chosen.command.pop(0)
    chosen.interactive = not chosen.command
    if chosen.timeout is None:
        chosen.timeout = 0 if chosen.interactive else 300
    if chosen.timeout < 0 or chosen.memory < 128:
        parser.error("--timeout takes seconds (0 for no limit), --memory at least 128 MiB")
    chosen.share = [os.path.realpath(folder) for folder in chosen.share]
    for folder in chosen.share:
        if not os.path.isdir(folder):
            parser.error(f"--share {folder}: no such folder")
        if re.match(r"/(run|proc|sys|dev)(/|$)", folder):
            parser.error(f"--share {folder}: /run, /proc, /sys and /dev are the guest's own")
    if chosen.tap and not os.path.exists(f"/sys/class/net/{chosen.tap}") and not tap_in_namespace(chosen.tap):
        parser.error(f"--tap {chosen.tap}: no such device in this network namespace (ip tuntap add {chosen.tap} mode tap)")
    return chosen


def tap_in_namespace(name):
    # /sys may be the mount of another network namespace: ask the kernel.
    return subprocess.run(["ip", "link", "show", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def fail(text):
    sys.stderr.write(f"lab: {text}\n")
    sys.exit(NO_GUEST)


def system(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def write_job(chosen, kernel):
    """What the guest's first process reads; the folder is gone with this namespace."""
    os.mkdir(JOB, 0o700)
    rows, columns = 24, 80
    if os.isatty(0):
        rows, columns = struct.unpack("HHHH", fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))[:2]

    def put(name, text):
        with open(os.path.join(JOB, name), "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)

    def joined(words):
        return "".join(word + "\0" for word in words)

    passed = {k: v for k, v in os.environ.items() if k not in NOT_PASSED}
    passed.update(PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME="/root",
                  TERM=os.environ.get("TERM", "dumb"), ESPALIER_LAB=kernel.name)
    put("environment", joined(f"{k}={v}" for k, v in passed.items()))
    put("command", joined(chosen.command))
    put("shares", joined(chosen.share))
    settings = {**kernel.settings(), "directory": os.getcwd(), "interactive": int(chosen.interactive),
                "stdin": int(chosen.stdin), "rows": rows or 24, "columns": columns or 80}
    put("settings", "".join(f"{k}={kernels.quoted(v)}\n" for k, v in settings.items()) +
        kernel.prepare(chosen, JOB))
    with open(os.path.join(HERE, "guest_init.sh"), encoding="utf-8") as file:
        put("init", file.read())
    os.chmod(os.path.join(JOB, "init"), 0o755)


def supervise(chosen, kernel, life, report, streams):
    """Process 1 of the namespaces. Its end is the kernel's end."""
    os.setsid()  # a terminal's Ctrl-C is the parent's business
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if select.select([life], [], [], 0)[0]:
        os._exit(1)  # the parent was gone before the line above
    result = {"status": None, "ended": None, "log": ""}
    try:
        system("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
        system("mount", b"tmpfs", b"/run", b"tmpfs", 0, b"mode=755,size=100%")
        write_job(chosen, kernel)
        log_path = os.path.join(JOB, "kernel.log")
        with open(log_path, "wb") as log:
            target = os.dup(streams["stderr"] if chosen.verbose else log.fileno())
            # UML keeps its memory in a file of $TMPDIR, which it unlinks.
            done = subprocess.run(kernel.command(chosen, JOB, streams, target), stdin=subprocess.DEVNULL, stdout=target,
                                  stderr=target, pass_fds=[*streams.values(), target],
                                  env={**os.environ, "TMPDIR": JOB}, check=False)
        result["ended"] = done.returncode
        if os.path.exists(f"{JOB}/status"):
            with open(f"{JOB}/status", encoding="ascii") as file:
                result["status"] = int(file.read())
        else:
            with open(log_path, encoding="utf-8", errors="replace") as file:
                result["log"] = file.read()[-3000:]
    except (OSError, ValueError) as error:
        result["log"] = str(error)
    os.write(report, json.dumps(result).encode())
    os._exit(0)


class Session:
    """The process outside: streams, time, signals."""

    def __init__(self, chosen, kernel):
        self.chosen, self.kernel, self.child, self.terminal = chosen, kernel, None, None

    def start(self):
        pipes = {name: os.pipe() for name in ("life", "report", "stdin", "stdout", "stderr")}
        system("unshare", CLONE_NEWPID | CLONE_NEWNS)
        signal.pthread_sigmask(signal.SIG_BLOCK, self.signals())
        self.child = os.fork()
        if self.child == 0:
            for number in self.signals():
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self.signals())
            for name, end in (("life", 1), ("report", 0), ("stdin", 1), ("stdout", 0), ("stderr", 0)):
                os.close(pipes[name][end])
            supervise(self.chosen, self.kernel, pipes["life"][0], pipes["report"][1],
                      {"stdin": pipes["stdin"][0], "stdout": pipes["stdout"][1], "stderr": pipes["stderr"][1]})
        for number in self.signals():
            signal.signal(number, self.interrupted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self.signals())
        for name, end in (("life", 0), ("report", 1), ("stdin", 0), ("stdout", 1), ("stderr", 1)):
            os.close(pipes[name][end])
        if self.chosen.timeout:
            signal.setitimer(signal.ITIMER_REAL, self.chosen.timeout)
        return pipes["report"][0], pipes["stdin"][1], pipes["stdout"][0], pipes["stderr"][0]

    @staticmethod
    def signals():
        return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)

    def interrupted(self, number, _frame):
        self.end()
        if number == signal.SIGALRM:
            os.write(2, f"lab: ended after its time limit of {self.chosen.timeout:g} s (--timeout)\n".encode())
            os._exit(TIMED_OUT)
        os._exit(128 + number)

    def end(self):
        """Kills the guest with all its processes, waits for that, and gives the terminal back."""
        if self.child:
            try:
                os.kill(self.child, signal.SIGKILL)
                os.waitpid(self.child, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        if self.terminal:
            termios.tcsetattr(0, termios.TCSADRAIN, self.terminal)

    def relay(self, guest_in, guest_out, guest_err):
        targets, ready = {guest_out: 1, guest_err: 2}, b""
        while guest_out in targets or guest_err in targets:
            for source in select.select(list(targets), [], [])[0]:
                data = os.read(source, 65536)
                if not data:
                    self.ended(source, targets)
                elif source == guest_out and READY not in ready:
                    ready += data
                    if READY in ready:
                        self.guest_is_ready(targets, guest_in)
                        write_all(1, ready.partition(READY)[2])
                else:
                    write_all(targets[source], data)

    def guest_is_ready(self, targets, guest_in):
        if self.chosen.interactive or self.chosen.stdin:
            targets[0] = guest_in
        if self.chosen.interactive and os.isatty(0):
            self.terminal = termios.tcgetattr(0)
            tty.setraw(0)

    @staticmethod
    def ended(source, targets):
        if source == 0:
            write_all(targets[0], b"\x04\x04")  # twice: after half a line the first only sends it
        del targets[source]

    def run(self):
        report, guest_in, guest_out, guest_err = self.start()
        try:
            self.relay(guest_in, guest_out, guest_err)
            text = b""
            while chunk := os.read(report, 65536):
                text += chunk
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.end()
        result = json.loads(text) if text else {"status": None, "ended": "killed", "log": ""}
        if result["status"] is None:
            fail(f"the guest ended ({result['ended']}) before its command did. The end of what its kernel said:\n"
                 f"{result['log'].rstrip()}")
        return result["status"]


def write_all(target, data):
    try:
        while data:
            data = data[os.write(target, data):]
    except BrokenPipeError:  # nobody reads: the rest is dropped, the command goes on
        pass


def main():
    chosen = options(sys.argv[1:])
    if os.geteuid() != 0:
        fail("only root can give the guest its namespaces (./run lab uses sudo)")
    kernel = kernels.KINDS[chosen.kernel]()
    lacking = kernel.lacking()
    if lacking:
        fail(f"{lacking}. ./run lab installs what tools/packages.txt lists in the group lab; by hand: "
             f"apt-get install {kernel.packages}")
    sys.exit(Session(chosen, kernel).run())


if __name__ == "__main__":
    main()
