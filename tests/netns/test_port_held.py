#!/usr/bin/env python3
"""Port 500 or 4500 is held by another process: the daemon names it, says what to do, and ends with 1."""
import os
import sys
import unittest

import lib


class PortHeld(unittest.TestCase):
    def test_the_holder_is_named(self):
        hosts = {n: lib.THREE[n] for n in ("bender", "flexo")}
        lab = lib.Lab(hosts)
        self.addCleanup(lab.close)
        lab.write_all(lib.inventory("held", hosts), lib.new_secret())
        bender = lab["bender"]
        for port in (500, 4500):
            holder = bender.spawn(
                [sys.executable, "-c",
                 "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
                 f"s.bind(('0.0.0.0',{port}))\nopen('/proc/self/comm','w').write('charon')\nprint('ready',flush=True)\ntime.sleep(600)"],
                f"holder{port}.log")
            lib.wait_for("the port is held", lambda: "ready" in holder.log(), 10)
            daemon = bender.start()
            status = daemon.popen.wait(20)
            log = daemon.log()
            self.assertEqual(status, 1, log)
            for word in (str(port), "charon", str(holder.pid), "systemctl stop"):
                self.assertIn(word, log)
            holder.stop()
            os.unlink(daemon.log_path)


if __name__ == "__main__":
    lib.need_root()
    unittest.main(verbosity=2)
