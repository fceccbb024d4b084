#!/usr/bin/env python3
"""./run lab itself: what its kernel can do, that status and streams pass, and that no end of it leaves anything.

One boot for everything that a command inside can see; two more, at the same time, for the two violent ends."""
import ctypes
import glob
import os
import signal
import subprocess
import tempfile
import time
import unittest

import guest

# Each line's output is one line of the guest's standard output: name, then what the checks below expect.
INSIDE = r"""
set -e
cd "$SHARED"
say() { printf '%s=%s\n' "$1" "$2"; }
say directory "$PWD"
say variable "$LAB_TEST_VARIABLE"
say root "$(id -u)"
echo from the guest >from-the-guest
if echo changed >"$PRIVATE/file" 2>/dev/null; then say private "$(cat "$PRIVATE/file")"; fi
ip netns add a; ip netns add b
ip link add e0 netns a type veth peer name e0 netns b
for n in a b; do ip -n $n link set e0 up; ip -n $n link set lo up; done
ip -n a addr add 10.0.0.1/24 dev e0; ip -n b addr add 10.0.0.2/24 dev e0
in_a() { nsenter --net=/run/netns/a "$@"; }
answers() { in_a ping -n -q -c "$1" -i 0.02 -W 1 10.0.0.2 | sed -n 's/.* \([0-9]*\) received.*/\1/p'; }
say ping "$(answers 5)"
key=0x$(printf '%040d' 7)
for n in a b; do
  ip -n $n xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode transport aead 'rfc4106(gcm(aes))' $key 128
  ip -n $n xfrm state add src 10.0.0.2 dst 10.0.0.1 proto esp spi 0x200 reqid 1 mode transport aead 'rfc4106(gcm(aes))' $key 128
done
policy() { ip -n "$1" xfrm policy add src "$3" dst "$4" dir "$2" tmpl proto esp reqid 1 mode transport; }
policy a out 10.0.0.1 10.0.0.2; policy b in 10.0.0.1 10.0.0.2
policy b out 10.0.0.2 10.0.0.1; policy a in 10.0.0.2 10.0.0.1
say esp "$(answers 5)"
# Packets that an SA protected, read back from the kernel: pings without ESP would leave 0 here.
say packets "$(ip -n b -s xfrm state list spi 0x100 | grep -o '[0-9][0-9]*(packets)')"
in_a tc qdisc add dev e0 root netem loss 100%
say lost "$(answers 3)"
in_a tc qdisc change dev e0 root netem delay 150ms
say delay "$(in_a ping -n -q -c 1 -W 2 10.0.0.2 | sed -n 's|.*= \([0-9]*\)\..*|\1|p')"
echo on standard error >&2
exit 41
"""


def lab(*words, **settings):
    return subprocess.Popen([*guest.LAB, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **settings)


def guests():
    """Processes of lab kernels on this machine."""
    found = set()
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if words and os.path.basename(words[0]).startswith(b"linux") and b"init=/run/espalier-lab/init" in words:
            found.add(int(path.split("/")[2]))
    return found


def leftovers():
    """What a guest could leave on this machine: files, and mounts that are seen outside."""
    with open("/proc/self/mounts", encoding="utf-8") as file:
        mounts = [line for line in file if "espalier-lab" in line]
    return sorted(glob.glob("/run/espalier-lab*") + glob.glob("/dev/shm/vm_file*") + glob.glob("/tmp/vm_file*")), mounts


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Inside(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folders = [tempfile.TemporaryDirectory(prefix="espalier-lab-test-") for _ in range(2)]
        shared, private = (folder.name for folder in cls.folders)
        with open(os.path.join(private, "file"), "w", encoding="ascii") as file:
            file.write("the machine's\n")
        start = time.monotonic()
        process = lab("--share", shared, "--timeout", "100", "bash", "-c", INSIDE, env={
            **os.environ, "SHARED": shared, "PRIVATE": private, "LAB_TEST_VARIABLE": "two words; 'and' $signs"})
        cls.out, cls.err = process.communicate()
        cls.status, cls.shared, cls.private = process.returncode, shared, private
        cls.said = dict(line.split("=", 1) for line in cls.out.splitlines() if "=" in line)
        print(f"one boot with its commands: {time.monotonic() - start:.1f} s", flush=True)

    @classmethod
    def tearDownClass(cls):
        for folder in cls.folders:
            folder.cleanup()

    def test_status_and_streams_pass(self):
        self.assertEqual(self.status, 41, self.out + self.err)
        self.assertEqual(self.err, "on standard error\n")

    def test_directory_and_environment_pass(self):
        self.assertEqual((self.said["directory"], self.said["variable"], self.said["root"]),
                         (self.shared, "two words; 'and' $signs", "0"))

    def test_only_a_shared_folder_is_written_to(self):
        with open(os.path.join(self.shared, "from-the-guest"), encoding="ascii") as file:
            self.assertEqual(file.read(), "from the guest\n")
        self.assertEqual(self.said["private"], "changed", "inside, everything can be written")
        with open(os.path.join(self.private, "file"), encoding="ascii") as file:
            self.assertEqual(file.read(), "the machine's\n", "outside, nothing has changed")

    def test_the_kernel_does_esp(self):
        self.assertEqual((self.said["ping"], self.said["esp"], self.said["packets"]), ("5", "5", "5(packets)"), self.err)

    def test_netem_loses_and_delays(self):
        self.assertEqual(self.said["lost"], "0")
        self.assertGreaterEqual(int(self.said["delay"]), 150)


class Ends(unittest.TestCase):
    """A time limit and SIGKILL, side by side: that several may run at once is tested with it."""

    def test_nothing_is_left_however_it_ends(self):
        before, left = guests(), leftovers()
        start = time.monotonic()
        timed = lab("--timeout", "8", "sh", "-c", "echo up; sleep 1000 & sleep 1000")
        killed = lab("sh", "-c", "echo up; sleep 1000 & sleep 1000")
        self.assertEqual((timed.stdout.readline(), killed.stdout.readline()), ("up\n", "up\n"))
        self.assertGreaterEqual(len(guests() - before), 2, "two guests at once")
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        _, said = timed.communicate()
        self.assertEqual(timed.returncode, 124, said)
        self.assertIn("time limit of 8 s", said)
        self.assertLess(time.monotonic() - start, 12)
        self.assertTrue(wait_until(lambda: not guests() - before, 5), f"processes are left: {guests() - before}")
        self.assertEqual(leftovers(), left)

    def test_wrong_use_is_said(self):
        for words, status, text in ((["--share", "/nosuch", "true"], 2, "/nosuch: no such folder"),
                                    (["--tap", "nosuch0", "true"], 2, "nosuch0: no such device"),
                                    (["--timeout", "-1", "true"], 2, "--timeout takes seconds"),
                                    (["--memory", "1", "true"], 2, "at least 128")):
            process = lab(*words)
            _, said = process.communicate()
            self.assertEqual(process.returncode, status, said)
            self.assertIn(text, said)

    def test_missing_packages_are_named(self):
        # Without the modules' folder: as on a machine without the package.
        with tempfile.TemporaryDirectory(prefix="espalier-lab-test-") as empty:
            process = lab("true", preexec_fn=lambda: hide("/usr/lib/uml/modules", empty))
            _, said = process.communicate()
        self.assertEqual(process.returncode, 125, said)
        self.assertIn("no modules in /usr/lib/uml/modules", said)
        self.assertIn("apt-get install user-mode-linux", said)


def hide(target, folder):
    """In a mount namespace of the calling process."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x20000) or libc.mount(None, b"/", None, 0x44000, None) \
            or libc.mount(folder.encode(), target.encode(), None, 0x1000, None):
        raise OSError(ctypes.get_errno(), "unshare, mount")


if __name__ == "__main__":
    guest.need_kernel()
    unittest.main(verbosity=2)
