"""The kernels that ./run lab boots: what each needs, and the command that starts it."""
import glob
import gzip
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

    def prepare(self, chosen, job):
        """What the guest's first process is told beside the settings, as shell text."""
        del chosen, job
        return 'mount_shared() { mount -t hostfs none "$2" -o "$1"; }\n'

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


def newc(files):
    """An archive for the kernel to unpack into its first root: {name: (mode, octets)}, in the format of cpio's newc."""
    out = bytearray()
    for number, (name, (mode, data)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], 1):
        path = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + path
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


class StockLinux:
    """Debian's own kernel under qemu's emulation, without hardware support: what a production host runs, xfrm interfaces
    and all of nftables included. An order of magnitude slower than the machine. Its root is the machine's, by 9p."""

    name = "stock"
    packages = "qemu-system-x86 busybox-static kmod iproute2, and the kernel unpacked by ./run lab --kernel stock"
    folder = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "build", "stock-kernel")
    first = ("virtio_pci", "9pnet_virtio", "9p", "virtio_console")  # before the root is there
    first_process = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /bin/busybox insmod "$module" || echo "lab: $module does not load"; done
/bin/busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 root /root || echo "lab: no root"
exec /bin/busybox switch_root /root /run/espalier-lab/init
"""

    def __init__(self):
        self.program = shutil.which("qemu-system-x86_64") or "/usr/bin/qemu-system-x86_64"
        found = sorted(glob.glob(f"{self.folder}/lib/modules/*/modules.dep"))
        self.modules = os.path.dirname(found[-1]) if found else None

    def lacking(self):
        if not os.access(self.program, os.X_OK):
            return "qemu is not installed (no qemu-system-x86_64)"
        if not os.access("/bin/busybox", os.X_OK):
            return "the guest needs busybox, which is not installed"
        if not self.modules:
            return f"there is no kernel in {os.path.relpath(self.folder)}"
        return None

    def settings(self):
        return {"kernel": os.path.basename(self.modules), "module_folder": self.modules,
                "modules": (*MODULES, "xfrm_interface", "virtio_net", "nf_tables", "nft_xfrm"),
                "overlay_module": f"{self.modules}/kernel/fs/overlayfs/overlay.ko",
                "output": "/dev/hvc0", "errors": "/dev/hvc1"}

    def needed_first(self):
        """Paths of modules, each after what it needs."""
        with open(f"{self.modules}/modules.dep", encoding="ascii") as file:
            lines = [line.split(":") for line in file]
        needs = {os.path.basename(path).partition(".ko")[0]: [path, *rest.split()] for path, rest in lines}
        paths = [path for name in self.first for path in reversed(needs[name])]
        return list(dict.fromkeys(paths))

    def prepare(self, chosen, job):
        def octets(path):
            with open(path, "rb") as file:
                return file.read()

        files = {name: (0o40755, b"") for name in ("bin", "dev", "modules", "root")}
        files["bin/busybox"] = (0o100755, octets("/bin/busybox"))
        files["init"] = (0o100755, self.first_process.encode())
        for number, path in enumerate(self.needed_first()):
            files[f"modules/{number:02}.ko"] = (0o100644, octets(f"{self.modules}/{path}"))
        with open(f"{job}/initramfs", "wb") as file:
            file.write(gzip.compress(newc(files), 1))
        tags = {job: "job", **{path: f"share{number}" for number, path in enumerate(chosen.share)}}
        cases = "".join(f"    {shlex.quote(path)}) tag={tag} ;;\n" for path, tag in tags.items())
        return (f'mount_shared() {{\n  local tag\n  case $1 in\n{cases}  esac\n'
                '  mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=262144 "$tag" "$2"\n}\n')

    def command(self, chosen, job, streams, log):
        if chosen.interactive or chosen.stdin:
            os.symlink(f"/proc/self/fd/{streams['stdin']}", f"{job}/terminal.in")
        else:
            os.mkfifo(f"{job}/terminal.in")
        os.symlink(f"/proc/self/fd/{streams['stdout']}", f"{job}/terminal.out")
        shares = [("root", "/", ",readonly=on,multidevs=remap"), ("job", job, ""),
                  *((f"share{number}", path, ",multidevs=remap") for number, path in enumerate(chosen.share))]
        network = ["-netdev", f"tap,id=net,ifname={chosen.tap},script=no,downscript=no", "-device",
                   "virtio-net-pci,netdev=net,romfile="] if chosen.tap else []
        version = os.path.basename(self.modules)
        return [self.program, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel", "tcg", "-cpu", "max",
                "-m", str(chosen.memory), "-kernel", f"{self.folder}/boot/vmlinuz-{version}", "-initrd", f"{job}/initramfs",
                "-append", "console=ttyS0 panic=-1 net.ifnames=0" + ("" if chosen.verbose else " quiet"),
                "-chardev", f"file,id=log,path=/proc/self/fd/{log}", "-serial", "chardev:log",
                "-chardev", f"pipe,id=terminal,path={job}/terminal",
                "-chardev", f"file,id=errors,path=/proc/self/fd/{streams['stderr']}",
                "-device", "virtio-serial-pci", "-device", "virtconsole,chardev=terminal", "-device", "virtconsole,chardev=errors",
                *(word for tag, path, more in shares
                  for word in ("-virtfs", f"local,path={path.replace(',', ',,')},mount_tag={tag},security_model=passthrough{more}")),
                *network]


KINDS = {kind.name: kind for kind in (UserModeLinux, StockLinux)}
