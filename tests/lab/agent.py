#!/usr/bin/env python3
"""Runs in the guest for guest.py: takes one JSON request a line, answers with one line each. One boot, many commands;
a process that this one starts itself costs a fifth of one that a shell starts."""
import json
import os
import signal
import subprocess
import sys

processes = {}


def environment(request):
    return {**os.environ, **request.get("env", {})}


def run(request):
    try:
        done = subprocess.run(request["run"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=request["timeout"], env=environment(request), check=False)
        return {"status": done.returncode, "output": done.stdout.decode(errors="replace")}
    except subprocess.TimeoutExpired as error:
        return {"status": 124, "output": (error.stdout or b"").decode(errors="replace") + "\n(timed out)"}
    except OSError as error:
        return {"status": 127, "output": str(error)}


def spawn(request):
    with open(request["log"], "ab") as log:
        process = subprocess.Popen(request["spawn"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env=environment(request), start_new_session=True)
    processes[process.pid] = process
    return {"pid": process.pid}


def status(request):
    process = processes[request["status"]]
    if "signal" in request and process.poll() is None:
        process.send_signal(request["signal"])
    try:
        return {"status": process.wait(request["wait"]) if request.get("wait") else process.poll()}
    except subprocess.TimeoutExpired:
        return {"status": None}


def main():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    print(json.dumps({"ready": os.uname().release}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = next(call(request) for key, call in (("run", run), ("spawn", spawn), ("status", status)) if key in request)
        except OSError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


main()
