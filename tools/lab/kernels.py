"""The kernel that ./run lab boots: what it needs, and the command that starts it."""
import glob
import os
import shlex
import shutil

# Loaded at boot; everything else is loaded on demand, as on any Debian.
MODULES = ("af_packet xfrm_user esp4 esp6 ah4 ah6 xfrm4_tunnel xfrm6_tunnel af_key veth tun dummy sch_netem seqiv echainiv "
           "gcm ccm ctr cbc authenc sha512_generic xcbc cmac chacha20poly1305 ip_vti ip6_vti").split()


def quoted(value):
    if isinstance(value, (list, tuple)):
        return "(" + " ".join(shlex.quote(str(v)) for v in value) + ")"
    return shlex.quote(str(value))


class UserModeLinux:
    """Debian's user-mode-linux: a kernel that is an ordinary program. Real time, one CPU, the machine's own speed in
    user space; system calls are dear. It has no xfrm interfaces and of nftables only the bridge family."""

    name = "uml"
    packages = "user-mode-linux kmod iproute2"
    mount_shared = 'mount_shared() { mount -t hostfs none "$2" -o "$1"; }\n'

    def __init__(self):
        self.program = shutil.which("linux.uml") or "/usr/bin/linux.uml"
        found = sorted(glob.glob("/usr/lib/uml/modules/*/kernel"))
        self.modules = os.path.dirname(found[-1]) if found else None

    def lacking(self):
        """What is missing on this machine, as the beginning of a sentence; nothing when it can boot."""
        if not os.access(self.program, os.X_OK):
            return "User-Mode Linux is not installed (no linux.uml)"
        if not self.modules:
            return "User-Mode Linux has no modules in /usr/lib/uml/modules"
        for tool in ("modprobe", "insmod", "ip"):
            if not shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin"):
                return f"the guest needs {tool}, which is not installed"
        return None

    def settings(self):
        return {"kernel": os.path.basename(self.modules), "module_folder": self.modules, "modules": MODULES,
                "overlay_module": f"{self.modules}/kernel/fs/overlayfs/overlay.ko",
                "output": "/dev/ttyS0", "errors": "/dev/ttyS1"}

    def command(self, chosen, job, streams, log):
        network = [f"vec0:transport=tap,ifname={chosen.tap},depth=64,gro=0"] if chosen.tap else []
        reads = f"fd:{streams['stdin']}" if chosen.interactive or chosen.stdin else "null"
        return [self.program, f"mem={chosen.memory}M", "root=none", "rootfstype=hostfs", "rootflags=/", "ro",
                f"init={job}/init", f"uml_dir={job}/", "umid=uml", "con=null", f"con0=null,fd:{log}", "ssl=null",
                f"ssl0={reads},fd:{streams['stdout']}", f"ssl1=null,fd:{streams['stderr']}", "panic=-1", *network,
                *([] if chosen.verbose else ["quiet"])]

