#!/usr/bin/env python3
"""./run demo: a mesh of hosts in network namespaces on this machine, shown from every side.

The hosts are namespaces esp-NAME, joined by a bridge in esp-internet; nothing is added to the machine's
own namespace. Everything is removed at the end, however it comes, unless --keep is given.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.join(SOURCE, "tests", "netns"))
import lib  # noqa: E402

PREFIX = os.environ.get("ESPALIER_DEMO", "esp")  # the test of the demo takes another
FOLDER = "/run/espalier-demo" if PREFIX == "esp" else f"/run/espalier-demo-{PREFIX}"
PATTERN = "657370616c696572"  # "espalier", repeated in the demo's pings
COLOURS = sys.stdout.isatty()


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOURS else text


def heading(text):
    print(f"\n{paint('1', text)}", flush=True)


def line(text):
    print(f"  {text}", flush=True)


class Progress:
    """One line a second while something takes time; rewritten in place on a terminal."""

    def __init__(self):
        self._last = 0.0
        self._width = 0

    def show(self, text, force=False):
        now = time.monotonic()
        if not force and now - self._last < 1:
            return
        self._last = now
        if COLOURS:
            print("\r  " + text.ljust(self._width), end="", flush=True)
            self._width = len(text)
        else:
            line(text)

    def end(self, text):
        if COLOURS:
            print("\r  " + text.ljust(self._width), flush=True)
        else:
            line(text)


def addresses_of(count):
    names = ["bender", "flexo", "amy"] + [f"host{i}" for i in range(4, count + 1)]
    return {name: [f"10.77.0.{i}/24", f"fd77::{i:x}/64"] for i, name in enumerate(names[:count], 1)}


def down():
    """Removes what a demo left, whatever part of it is there. True: there was something."""
    found = os.path.isdir(FOLDER)
    names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
    for name in names:
        if name.startswith(PREFIX + "-"):
            lib.remove_namespace(name)
            found = True
    shutil.rmtree(FOLDER, ignore_errors=True)
    return found


def bare(address):
    return address.split("/")[0]


def make_hosts(count, keep):
    hosts = addresses_of(count)
    subnets = {"amy": ["10.3.0.0/24"]} if count >= 3 else {}
    os.makedirs(FOLDER, mode=0o700)
    lab = lib.Lab(hosts, subnets, prefix=PREFIX, folder=FOLDER, outlive=keep)
    if count > 20:
        lab.know_all_neighbours()
    example = os.path.join(SOURCE, "examples", "three-hosts.yaml")
    if count == 3:
        with open(example, encoding="utf-8") as file:
            inventory, origin = file.read(), "examples/three-hosts.yaml"
    else:
        inventory, origin = lib.inventory("demo", hosts, subnets), f"an inventory of {count} hosts"
    lab.write_all(inventory, lib.new_secret())
    for host in lab.hosts.values():
        wrapper = os.path.join(host.folder, "bin", "espalier")
        os.makedirs(os.path.dirname(wrapper))
        with open(wrapper, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\nexec "{lib.BIN}/espalier" --run "{host.rundir}" "$@"\n')
        os.chmod(wrapper, 0o755)
    line(f"{count} hosts on one bridge, each with {origin} and the same fresh secret"
         + (f" (in {FOLDER}/HOST/etc)" if keep else ""))
    return lab


def iperf(lab, seconds=3):
    """Gbit/s from bender to flexo; None where iperf3 is not installed or gives no figure."""
    if not shutil.which("iperf3"):
        return None
    bender, flexo = lab["bender"], lab["flexo"]
    server = flexo.spawn(["iperf3", "-s", "-1"], "iperf3.log")
    target = bare(flexo.addresses[0])
    try:
        lib.wait_for("iperf3 listens", lambda: ":5201" in flexo.run(["ss", "-ltn"]).stdout, 5)
        done = bender.run(["iperf3", "-c", target, "-t", str(seconds), "-J"], check=False, timeout=seconds + 20)
        return json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 1e9
    except (lib.LabError, KeyError, json.JSONDecodeError, subprocess.TimeoutExpired):
        return None
    finally:
        if server.alive():
            server.stop()


def wait_for_mesh(lab, started):
    count = len(lab.hosts)
    total, progress = count * (count - 1) // 2, Progress()
    up = dict.fromkeys(lab.hosts, 0)
    limit = 30 + 2 * count
    while True:
        for name, host in lab.hosts.items():
            if not host.daemon.alive():
                raise lib.LabError(f"espalierd on {name} ended:\n{host.daemon.log()[-2000:]}")
            if up[name] < count - 1:
                up[name] = host.pairs_up()
                took = time.monotonic() - started
                progress.show(f"{took:3.0f} s  {sum(up.values()) // 2} of {total} pairs up")
        took = time.monotonic() - started
        if all(n == count - 1 for n in up.values()):
            break
        if took > limit:
            raise lib.LabError(f"after {limit} s only {sum(up.values()) // 2} of {total} pairs are up:\n"
                               + why_not(lab))
        time.sleep(0.05 if count <= 10 else 0.5)
    progress.end(paint("32", f"{total} of {total} pairs up, {took:.1f} s after the first daemon was started"))


def why_not(lab):
    reasons = []
    for host in lab.hosts.values():
        status = host.status()
        reasons += [f"  {p['name']}: {p['state']}, {p['reason']}" for p in (status["pairs"] if status else [])
                    if p["state"] != "up"]
    return "\n".join(reasons[:10])


def show_matrix(lab):
    names = list(lab.hosts)
    width = 8 if len(names) <= 10 else 2
    if len(names) <= 10:
        line(" " * 10 + "".join(n.ljust(width) for n in names))
    suites = set()
    for here in names:
        status = lab[here].status() or {"pairs": []}
        state = {p["peer"]: p for p in status["pairs"]}
        row = ""
        for there in names:
            pair = state.get(there)
            if here == there:
                row += "\u00b7".ljust(width)
                continue
            good = pair is not None and pair["state"] == "up"
            word = (pair["state"] if pair else "?") if width > 2 else ("+" if good else "-")
            row += paint("32" if good else "31", word.ljust(width))
            if good:
                suites |= {(pair["ike"]["suite"], c["suite"]) for c in pair["children"]}
        line(here.ljust(10) + row)
    for ike, esp in sorted(suites):
        line(f"IKE {ike}, ESP {esp}")


def ping_all(lab):
    """One ping, IPv4 and IPv6, and into the subnets, for every pair and direction; hosts in parallel."""
    results, lock, turns = {}, threading.Lock(), threading.Semaphore(4)

    def from_host(here):
        addresses = [address for there in lab.hosts.values() if there is not here
                     for address in [bare(a) for a in there.addresses] + there.subnet_addresses()]
        # One shell for all of a host's pings: fifty hosts send five thousand.
        ping = f"ping -n -q -c 1 -W 2 -p {PATTERN} $a >/dev/null 2>&1 && echo $a"
        script = f"for a in {' '.join(addresses)}; do ({ping}) & done; wait"
        with turns:
            answered = set(here.run(["sh", "-c", script], check=False, timeout=120).stdout.split())
        with lock:
            results.update({(here.name, address): address in answered for address in addresses})

    threads = [threading.Thread(target=from_host, args=(h,)) for h in lab.hosts.values()]
    for thread in threads:
        thread.start()
    progress = Progress()
    targets = sum(len(h.addresses) + len(h.subnets) for h in lab.hosts.values())
    total = targets * (len(lab.hosts) - 1)
    while any(t.is_alive() for t in threads):
        time.sleep(0.1)
        progress.show(f"{len(results)} of {total} pings")
    for thread in threads:
        thread.join()
    lost = [f"{name} to {address}" for (name, address), got in sorted(results.items()) if not got]
    good = total - len(lost)
    progress.end(paint("31" if lost else "32", f"{good} of {total} pings answered") +
                 " (each host to each other's IPv4 and IPv6 address and subnet)")
    for text in lost[:8]:
        line(paint("31", f"no answer: {text}"))
    return not lost


def show_wire(lab):
    """Pings while the wire is watched: what is on it, and that the pings are not."""
    bender, flexo = lab["bender"], lab["flexo"]
    sample = None
    if shutil.which("tcpdump"):
        sample = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{lab.net}", "--", "tcpdump", "-n", "-l", "-q", "-i", bender.port,
             "-c", "6", f"host {bare(bender.addresses[0])}"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=lib.die_with_parent)
        time.sleep(0.7)
    wire = lib.Wire(lab)
    line(f"bender# ping -c 10 -p {PATTERN} {bare(flexo.addresses[0])}")
    answered = bender.ping(bare(flexo.addresses[0]), 10, pattern=PATTERN, interval=0.1)
    answered += bender.ping(bare(flexo.addresses[1]), 10, pattern=PATTERN, interval=0.1)
    packets = wire.stop()
    if sample:
        threading.Timer(3, sample.kill).start()
        for text in sample.communicate()[0].splitlines():
            line(paint("2", text[:110]))
    protected = [a for h in lab.hosts.values() for a in h.addresses + h.subnet_addresses()]
    clear = lib.leaks(packets, protected)
    needle = bytes.fromhex(PATTERN) * 2
    found = [p for p in packets if needle in p.frame]
    ipsec = sum(p.is_ipsec() for p in packets)
    good = answered == 20 and ipsec >= 40 and not clear and not found
    line(paint("32" if good else "31",
               f"{answered} of 20 pings answered; on the wire: {ipsec} IKE and ESP packets, {len(clear)} in the clear "
               f"between the hosts, {len(found)} with the pings' payload"))
    for packet in clear[:5]:
        line(paint("31", f"in the clear: {packet}"))
    return good


def keep_text(lab):
    print(f"""
The mesh is up and stays up. To look around:
  ./run in bender espalier status           what bender knows of its pairs
  ./run in bender espalier log flexo        what happens with one pair
  ./run in bender ping 10.77.0.2            through the tunnel
  ./run in flexo tcpdump -n -i eth0         the wire
  ./run in flexo                            a shell on flexo
  {FOLDER}/HOST/                 each host's configuration (etc) and log (espalierd.log)
  ./run demo --down                         removes everything""")
    lab.closed = True  # nothing is removed at exit


def demonstrate(count, keep):
    for name in ("espalierd", "espalier"):
        if not os.access(os.path.join(lib.BIN, name), os.X_OK):
            sys.exit(f"{lib.BIN}/{name} is not there: ./run build")
    if down():
        line("(removed what an earlier demo left)")
    heading("Hosts")
    lab = make_hosts(count, keep)
    clear = iperf(lab)
    heading("The mesh comes up")
    started = time.monotonic()
    lab.start_all()
    wait_for_mesh(lab, started)
    heading("Pairs, as each host sees them")
    show_matrix(lab)
    heading("A ping for every pair")
    good = ping_all(lab)
    heading("The wire between bender and flexo")
    good = show_wire(lab) and good
    heading("Throughput, bender to flexo (iperf3, one TCP stream, 3 s, all on this machine)")
    through = iperf(lab)
    for name, figure in (("without the mesh", clear), ("with the mesh", through)):
        line(f"{name:18}" + (f"{figure:6.2f} Gbit/s" if figure is not None else "no figure (is iperf3 installed?)"))
    good = good and (through is not None or clear is None)
    if keep:
        keep_text(lab)
    else:
        lab.close()
        print("\nEverything is removed again. ./run demo --keep leaves it up to look around.")
    return good


def run_inside(words):
    if not words:
        sys.exit("Usage: ./run in HOST [CMD...]")
    name, command = words[0], words[1:] or [os.environ.get("SHELL", "/bin/sh")]
    if not os.path.exists(f"/run/netns/{PREFIX}-{name}"):
        there = [n[len(PREFIX) + 1:] for n in (os.listdir("/run/netns") if os.path.isdir("/run/netns") else [])
                 if n.startswith(PREFIX + "-") and n != PREFIX + "-internet"]
        sys.exit(f"No demo host {name} is up. " + (f"There are: {', '.join(sorted(there))}." if there
                                                  else "Start one with ./run demo --keep"))
    os.environ["PATH"] = f"{FOLDER}/{name}/bin:{lib.BIN}:" + os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    os.environ["PS1"] = f"{name}# "
    try:
        os.execvp("nsenter", ["nsenter", f"--net=/run/netns/{PREFIX}-{name}", "--", *command])
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--in":
        run_inside(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="./run demo", description="A mesh of hosts on this machine.")
    parser.add_argument("--hosts", type=int, default=3, metavar="N", help="2 to 50 (3)")
    parser.add_argument("--keep", action="store_true", help="leave it up and say how to look around")
    parser.add_argument("--down", action="store_true", help="remove what --keep left")
    options = parser.parse_args()
    if not 2 <= options.hosts <= 50:
        parser.error("--hosts takes 2 to 50")
    if os.geteuid() != 0:
        print("Network namespaces need root.", file=sys.stderr)
        return lib.SKIP
    if options.down:
        print("Removed." if down() else "There was nothing to remove.")
        return 0
    try:
        return 0 if demonstrate(options.hosts, options.keep) else 1
    except lib.LabError as error:
        print(paint("31", f"\nThe demo failed: {error}"), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
