"""Four providers behind links of one rate each, in a network namespace of its own: `shaped FOLDER`, started by `moving.providers`.

Every provider has an address of its own on loopback (127.0.1.N), and the kernel holds what leaves that address to the rate. Prints one
line of JSON: seconds by the number of providers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from scripts.benchmarks.beside.common import loopback_up
from scripts.benchmarks.figures import timed
from scripts.benchmarks.moving import PROVIDERS, RATE_MBIT, SHAPED_BYTES
from tests.support.daemons import RealDaemon, wait_until


def shape() -> None:
    """What is sent from 127.0.1.N leaves at RATE_MBIT at most; all else is free."""
    run = lambda *words: subprocess.run(["tc", *words], check=True)  # noqa: E731  # three lines below read like the shell
    run("qdisc", "add", "dev", "lo", "root", "handle", "1:", "htb")
    for number in range(1, PROVIDERS + 1):
        rate = f"{RATE_MBIT}mbit"
        run("class", "add", "dev", "lo", "parent", "1:", "classid", f"1:{number}", "htb", "rate", rate, "ceil", rate)
        match = ("match", "ip", "src", f"127.0.1.{number}/32")
        run("filter", "add", "dev", "lo", "protocol", "ip", "parent", "1:", "u32", *match, "flowid", f"1:{number}")


def main() -> None:
    folder = Path(sys.argv[1])
    loopback_up()
    shape()
    path = folder / "shaped.bin"
    path.write_bytes(os.urandom(SHAPED_BYTES))
    daemons = [
        RealDaemon(folder / f"provider {number}", listen=f"/ip4/127.0.1.{number}/tcp/0").start()
        for number in range(1, PROVIDERS + 1)
    ]
    cids = [daemon.json("publish", str(path), "--title", "Shaped")["cid"] for daemon in daemons]
    (cid,) = set(cids)
    seconds: dict[int, float] = {}
    used = 0
    for count in (1, PROVIDERS):
        addresses = tuple(daemon.address for daemon in daemons[:count])
        ben = RealDaemon(folder / f"ben {count}", bootstrap=addresses).start()
        daemons.append(ben)
        wait_until(lambda ben=ben, count=count: ben.json("status")["peers"] >= count, what="all are connected")
        answer: dict[str, object] = {}
        seconds[count] = timed(lambda ben=ben, answer=answer: answer.update(ben.json("get", cid, timeout_s=300)))
        used = int(str(answer["providers"]))
        ben.kill()
    for daemon in daemons:
        daemon.kill()
    print(json.dumps({"seconds": seconds, "used": used}))


if __name__ == "__main__":
    main()
