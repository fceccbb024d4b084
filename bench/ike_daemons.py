#!/usr/bin/env python3
"""N IKE SAs with a child each, from cold, between two daemons in two network namespaces: ours, and strongSwan's
charon doing the same in the same run. PSK, X25519, AES-128-GCM; every connection has identities and networks of
its own, on both sides. CPU time is what the kernel counted for the daemons' threads (user and system); memory is
resident memory before and after.

    ike_daemons.py [--count N]... [--peers] [--json] [--repeat R]
"""
import argparse
import json
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "netns"))
sys.path.insert(0, HERE)
import lib  # noqa: E402
from vici import Vici  # noqa: E402

SECRET = "0s3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs="
OUTER = {"a": "192.0.2.1", "b": "192.0.2.2"}


def address(first, number):
    return f"10.{first + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def cpu_seconds(pid):
    """Of all threads, user and system, to the nanosecond."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def inventory(own, count):
    """The initiator knows an address for each of its peers; the answering side takes them from anywhere."""
    other = "b" if own == "a" else "a"
    lines = [f"mesh: bench\ndefaults: {{mobike: off, dpd: off, start: none, encap: always, "
             f"proposals: {{ike: aes128gcm16-prfsha256-x25519, esp: aes128gcm16}}}}",
             f"hosts: {{{own}: {OUTER[own]}}}", "foreign:"]
    nets = {"a": 100, "b": 110}
    for i in range(count):
        where = f"address: {address(64, i + 1)}" if own == "a" else "nat: true"
        lines.append(f"  {other}{i}: {{{where}, id: {other}{i}, local_id: {own}{i}, secret: 'file:bench.secret', "
                     f"subnets: [{address(nets[other], i)}/32], local_subnets: [{address(nets[own], i)}/32]}}")
    return "\n".join(lines) + "\n"


def ours(lab, count):
    for name in "ab":
        lab[name].write("mesh.yaml", inventory(name, count), 0o644)
        lab[name].write("private/bench.secret", SECRET + "\n")
        lab[name].start("--dataplane", "userspace", "--log-level", "warning")
    for name in "ab":
        lib.wait_for(f"{name} answers", lambda: os.path.exists(f"{lab[name].rundir}/vici.sock"), 60)
    pids = {name: lab[name].daemon.pid for name in "ab"}
    # The names of pairs: self, hyphen, peer.
    names = [{"ike": f"a-b{i}", "timeout": "-1"} for i in range(count)]
    return pids, {name: f"{lab[name].rundir}/vici.sock" for name in "ab"}, names


CHARON = """
charon-systemd {{
  load_modular = no
  load = aesni aes sha2 openssl hmac gcm random nonce kdf curve25519 kernel-libipsec kernel-netlink socket-default vici
  install_routes = no
  dos_protection = no
  ikesa_table_size = 2048
  ikesa_table_segments = 16
  syslog {{ daemon {{ default = -1
  }}
  auth {{ default = -1
  }} }}
  journal {{ default = -1
  }}
  plugins {{ vici {{ socket = unix://{folder}/vici }} }}
}}
"""


def charon_file(own, count):
    other = "b" if own == "a" else "a"
    nets = {"a": 100, "b": 110}
    out = ["connections {"]
    for i in range(count):
        remote = address(64, i + 1) if own == "a" else OUTER["a"]
        local = OUTER["a"] if own == "a" else address(64, i + 1)
        out.append(f"""c{i} {{ version = 2
 local_addrs = {local}
 remote_addrs = {remote}
 proposals = aes128gcm16-prfsha256-x25519
 mobike = no
 local {{ auth = psk
 id = {own}{i}
 }}
 remote {{ auth = psk
 id = {other}{i}
 }}
 children {{ k{i} {{ local_ts = {address(nets[own], i)}/32
 remote_ts = {address(nets[other], i)}/32
 esp_proposals = aes128gcm16
 }} }} }}""")
    out.append(f"}}\nsecrets {{ ike-1 {{ secret = {SECRET}\n }} }}\n")
    return "\n".join(out)


def charon(lab, count):
    pids, sockets = {}, {}
    # The TUN of kernel-libipsec wants an address to install policies for.
    for name in "ab":
        host = lab[name]
        first = {"a": 100, "b": 110}[name]
        host.run(["ip", "-batch", "-"],
                 text_input="".join(f"addr add {address(first, i)}/32 dev lo\n" for i in range(count)), timeout=300)
        host.write("strongswan.conf", CHARON.format(folder=host.folder))
        host.write("swanctl.conf", charon_file(name, count))
        env = {**os.environ, "STRONGSWAN_CONF": f"{host.config}/strongswan.conf"}
        pids[name] = host.spawn(["/usr/sbin/charon-systemd"], "charon.out", env=env).pid
        sockets[name] = f"{host.folder}/vici"
        lib.wait_for(f"charon on {name} answers", lambda: os.path.exists(sockets[name]), 60)
        host.run(["swanctl", "--load-all", "--noprompt", "--uri", f"unix://{sockets[name]}", "--file",
                  f"{host.config}/swanctl.conf"], timeout=300)
    return pids, sockets, [{"child": f"k{i}", "timeout": "-1"} for i in range(count)]


def established(client):
    sas = [sa for event in client.stream("list-sas", "list-sa") for sa in event.values()]
    return sum(1 for sa in sas if sa.get("state") == "ESTABLISHED" and
               any(child.get("state") == "INSTALLED" for child in sa.get("child-sas", {}).values()))


def measure(kind, count):
    lab = lib.Lab({"a": [f"{OUTER['a']}/24"], "b": [f"{OUTER['b']}/24"]}, prefix=f"eb{os.getpid()}-{kind}")
    try:
        lab["b"].run(["ip", "-batch", "-"], timeout=300,
                     text_input="".join(f"addr add {address(64, i + 1)}/32 dev lo\n" for i in range(count)))
        lab["a"].ip("route", "add", "10.64.0.0/15", "via", OUTER["b"])
        begun = time.monotonic()
        pids, sockets, names = (ours if kind == "espalier" else charon)(lab, count)
        clients = {name: Vici(path) for name, path in sockets.items()}
        time.sleep(1)
        result = {"daemon": kind, "count": count, "configured_s": round(time.monotonic() - begun - 1, 2)}
        memory = {name: resident_kb(pid) for name, pid in pids.items()}
        cpu = {name: cpu_seconds(pid) for name, pid in pids.items()}
        start = time.monotonic()
        for name in names:
            clients["a"].command("initiate", name)
        # Counting costs the daemons too: it is done once, after they have gone quiet.
        last, quiet = None, 0
        while quiet < 5 and time.monotonic() - start < 300:
            time.sleep(0.1)
            spent = sum(cpu_seconds(pid) for pid in pids.values())
            quiet = quiet + 1 if last is not None and spent - last < 0.002 else 0
            last = spent
        result["elapsed_s"] = round(time.monotonic() - start - 0.5, 2)
        spent = {name: cpu_seconds(pid) - cpu[name] for name, pid in pids.items()}
        after = {name: resident_kb(pid) for name, pid in pids.items()}
        result["cpu_s"] = round(sum(spent.values()), 3)
        result["cpu_ms_per_sa"] = round(sum(spent.values()) / count * 1000, 3)
        result["kb_per_sa"] = {name: round((after[name] - memory[name]) / count, 2) for name in "ab"}
        result["resident_kb"] = after
        result["established"] = {name: established(client) for name, client in clients.items()}
        result["failed"] = count - min(result["established"].values())
        return result
    finally:
        lab.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, action="append", help="IKE SAs (1000); may repeat")
    parser.add_argument("--peers", action="store_true", help="charon beside ours")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lib.need_root()
    results = []
    for count in options.count or [1000]:
        for kind in ["espalier", "charon"] if options.peers else ["espalier"]:
            for _ in range(options.repeat):
                results.append(measure(kind, count))
                if not options.json:
                    print(json.dumps(results[-1]), flush=True)
    if options.json:
        print(json.dumps(results))
    else:
        for kind in ("espalier", "charon"):
            costs = [r["cpu_ms_per_sa"] for r in results if r["daemon"] == kind]
            if costs:
                print(f"{kind}: median {statistics.median(costs)} ms of CPU per SA, both ends")
    return 1 if any(r["failed"] for r in results if r["daemon"] == "espalier") else 0


if __name__ == "__main__":
    sys.exit(main())
