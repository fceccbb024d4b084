"""What tests do with the kernel of ./run lab."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
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
