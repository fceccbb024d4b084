#!/usr/bin/env python3
"""espalierd and strongSwan, both rekeying everything every few seconds, one packet in ten lost, traffic all
the while: no pair is ever left broken. ESPALIER_STORM_SECONDS (15; the long tests take 120) is how long."""
import os
import time
import unittest

from strongswan import lib
from test_strongswan import Bed

import strongswan

SECONDS = int(os.environ.get("ESPALIER_STORM_SECONDS", "15"))
LOSS = """
table bridge loss {{
  counter lost {{ }}
  chain forward {{
    type filter hook forward priority 0; policy accept;
    ether type {{ ip, ip6 }} numgen random mod 100 < {percent} counter name lost drop
  }}
}}
"""
# Both ends want the child anew every 3 to 5 s and the IKE SA every 7 to 11 s: their rekeys meet often.
OURS = "    lifetimes: {child: 4s, ike: 9s, jitter: 25%}\n    dpd: 5s\n"
THEIRS = {"more": "rekey_time = 9s\n    over_time = 30s\n    rand_time = 2s",
          "child_more": "rekey_time = 4s\n        life_time = 30s\n        rand_time = 1s"}


class Storm(Bed):
    # One exchange in five loses its request or its answer. With four, one in 4000 would be lost five times over: once in
    # forty minutes of this, charon would forget the IKE SA, and nobody here begins another.
    retransmits = 9

    def lose(self, percent):
        rules = LOSS.format(percent=percent)
        loaded = lib.run(["nsenter", f"--net=/run/netns/{self.lab.net}", "--", "nft", "-f", "-"], check=False,
                         text_input=rules)
        if loaded.returncode != 0:
            lib.skip(f"this kernel has no nftables for bridges: {loaded.stdout}")

    def stop_losing(self):
        lib.run(["ip", "netns", "exec", self.lab.net, "nft", "delete", "table", "bridge", "loss"])

    def keep_logs(self, initiator):
        """Where ESPALIER_KEEP names a folder: both daemons' logs."""
        folder = os.environ.get("ESPALIER_KEEP")
        if not folder:
            return
        os.makedirs(folder, exist_ok=True)
        for name, text in (("espalierd", self.bender.daemon.log()), ("charon", self.swan.log())):
            with open(f"{folder}/storm-{initiator}-{name}.log", "w", encoding="utf-8") as file:
                file.write(text)

    def storm(self, initiator, ike, esp):
        self.bring_up(initiator, ike, esp, ours=OURS, **THEIRS)
        self.assert_traffic()
        self.lose(10)
        count = SECONDS * 10
        pinging = self.bender.spawn(["ping", "-n", "-q", "-c", str(count), "-i", "0.1", "-W", "1", "10.77.0.9"],
                                    "storm-ping.log")
        seen, down, longest, since = set(), 0, 0.0, None
        self.addCleanup(self.keep_logs, initiator)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            pair = self.bender.pair("swan") or {}
            up = pair.get("state") == "up"
            if up:
                since = None
                seen.update(child["spi_in"] for child in pair["children"])
            else:
                since = since or time.monotonic()
                down += 1
                longest = max(longest, time.monotonic() - since)
            time.sleep(0.25)
        pinging.popen.wait(30)
        self.stop_losing()
        answered = int(pinging.log().split(" received")[0].split()[-1])
        print(f"{initiator} initiates: {SECONDS} s, {len(seen)} children seen, {answered} of {count} pings "
              f"(0.81 of them are expected), not up in {down} looks, at most {longest:.1f} s at a time")
        self.assertGreater(len(seen), SECONDS / 8, "the rekeys did not go on")
        self.wait_up()
        try:
            self.assert_agreement()
        except lib.LabError as error:
            raise AssertionError(f"{error}\n{self.bender.spis('swan')}\n{self.swan.command('list-sas').stdout}"
                                 f"\n--- espalierd\n{self.bender.daemon.log()[-4000:]}"
                                 f"\n--- charon\n{self.swan.log()[-4000:]}") from None
        self.assert_traffic()
        # A request and its answer each meet one loss in ten: 81 of 100 come back. What rekeys lose comes on top.
        self.assertGreater(answered / count, 0.81 - 0.02 - 1.5 / count ** 0.5, "pings lost beyond the network's loss")

    def test_espalier_starts(self):
        self.storm("bender", "aes256gcm16-prfsha384-x25519", "aes256gcm16-x25519")

    def test_strongswan_starts(self):
        self.storm("swan", "chacha20poly1305-prfsha256-x25519", "aes128gcm16-ecp256")


if __name__ == "__main__":
    lib.need_root()
    strongswan.need_strongswan()
    unittest.main(verbosity=2)
