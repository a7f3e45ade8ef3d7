"""Publishing and fetching one large file, against what the machine does with the same bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from scripts.benchmarks.figures import Figure, timed
from tests.support.daemons import RealDaemon, wait_until

SIZE = 256 << 20
MIB = 1 << 20
RUNS = 3


def big_file(folder: Path) -> Path:
    """256 MiB that compress badly, in the page cache."""
    path = folder / "big.bin"
    with open(path, "wb") as file:
        for _ in range(SIZE // MIB):
            file.write(os.urandom(MIB))
    return path


def publish(folder: Path) -> list[Figure]:
    """Against `sha256sum` of the same file: both read every byte once and hash it."""
    path = big_file(folder)
    daemon = RealDaemon(folder / "node").start()
    try:
        hashing = min(
            timed(lambda: subprocess.run(["sha256sum", path], check=True, stdout=subprocess.DEVNULL))
            for _ in range(RUNS)
        )
        seconds = min(
            timed(lambda n=n: daemon.json("publish", str(path), "--title", f"Big {n}", "--private"))
            for n in range(RUNS)
        )
        return [Figure("publish 256 MiB in place", SIZE / seconds / 1e6, "MB/s", SIZE / hashing / 1e6, "sha256sum")]
    finally:
        daemon.kill()


def fetch(folder: Path) -> list[Figure]:
    """Against a bare trio TCP copy between two processes with the same hashing and writing."""
    path = big_file(folder)
    anna = RealDaemon(folder / "anna").start()
    ben = RealDaemon(folder / "ben", bootstrap=(anna.address,)).start()
    try:
        wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")
        cid = anna.json("publish", str(path), "--title", "Big")["cid"]
        seconds = timed(lambda: ben.json("get", cid))
        bare = min(bare_copy(path, folder / f"copy{n}") for n in range(RUNS))
        return [
            Figure(
                "fetch 256 MiB, one provider, on disk",
                SIZE / seconds / 1e6,
                "MB/s",
                SIZE / bare / 1e6,
                "bare trio TCP copy",
            )
        ]
    finally:
        anna.kill()
        ben.kill()


SENDER = """
import sys, trio
async def main():
    async def send(stream):
        with open(sys.argv[1], "rb") as file:
            while data := file.read(1 << 20):
                await stream.send_all(data)
        await stream.aclose()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    print(listeners[0].socket.getsockname()[1], flush=True)
    await trio.serve_listeners(send, listeners)
trio.run(main)
"""

RECEIVER = """
import hashlib, os, sys, time, trio
async def main():
    stream = await trio.open_tcp_stream("127.0.0.1", int(sys.argv[1]))
    start, held = time.perf_counter(), bytearray()
    with open(sys.argv[2], "wb") as file:
        while data := await stream.receive_some(1 << 18):
            held += data
            if len(held) >= 1 << 20:
                hashlib.sha256(held).digest()
                file.write(held)
                held.clear()
        file.write(held)
        file.flush()
        os.fsync(file.fileno())
    print(time.perf_counter() - start)
trio.run(main)
"""


def bare_copy(path: Path, target: Path) -> float:
    """Seconds for the same bytes over plain TCP, hashed by the receiver MiB by MiB and written."""
    sender = subprocess.Popen([sys.executable, "-c", SENDER, path], stdout=subprocess.PIPE, text=True)
    assert sender.stdout is not None
    try:
        port = sender.stdout.readline().strip()
        out = subprocess.run([sys.executable, "-c", RECEIVER, port, target], capture_output=True, text=True, check=True)
        assert hashlib.sha256(target.read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest()
        return float(out.stdout)
    finally:
        sender.kill()
        sender.wait()
        sender.stdout.close()
