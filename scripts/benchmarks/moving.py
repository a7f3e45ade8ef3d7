"""Fetching between two or more daemons on loopback, against other programs and a bare copy that move the same file in the same run."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.benchmarks.content import FILE_BYTES, FILES, GIB, MIB, big_file, small_files
from scripts.benchmarks.figures import Figure, timed
from tests.support.daemons import RealDaemon, wait_until

RUNS = 3
BESIDE = Path(__file__).parent / "beside"
FOREIGN = {"Kubo to Kubo": "kubo.py", "libtorrent": "torrent.py", "Syncthing": "syncthing.py"}
FOREIGN_TIMEOUT_S = 600
FETCH_TIMEOUT_S = 1800.0
BARE = "bare trio TCP copy"


@contextmanager
def two(folder: Path) -> Iterator[tuple[RealDaemon, RealDaemon]]:
    """Anna publishes, Ben fetches; they are connected."""
    anna = RealDaemon(folder / "anna").start()
    ben = RealDaemon(folder / "ben", bootstrap=(anna.address,)).start()
    try:
        wait_until(lambda: ben.json("status")["peers"] == 1, what="the two are connected")
        yield anna, ben
    finally:
        anna.kill()
        ben.kill()


def fetch(folder: Path) -> list[Figure]:
    """1 GiB from one provider, encrypted, verified and on the disk; each program in turns, the best of three runs of each."""
    path = big_file(folder)
    ours: list[float] = []
    others: dict[str, list[float]] = {BARE: []}
    notes: dict[str, str] = {}
    for run in range(RUNS):
        ours.append(_fetch(folder / f"run {run}", path))
        others[BARE].append(bare_copy(path, folder / "copy"))
        for name, script in FOREIGN.items():
            if name in notes:
                continue
            try:
                others.setdefault(name, []).append(beside(script, path, folder / "beside"))
            except Missing as missing:
                notes[name] = str(missing)
    rate = GIB / min(ours) / 1e6
    figures = [
        Figure("fetch 1 GiB, one provider", rate, "MB/s", GIB / min(seconds) / 1e6, name)
        for name, seconds in others.items()
    ]
    return figures + [Figure(f"fetch 1 GiB against {name}", rate, "MB/s", note=note) for name, note in notes.items()]


def _fetch(folder: Path, path: Path) -> float:
    with two(folder) as (anna, ben):
        cid = anna.json("publish", str(path), "--title", "Big")["cid"]
        seconds = timed(lambda: ben.json("get", cid, timeout_s=FETCH_TIMEOUT_S))
    shutil.rmtree(folder)
    return seconds


def fetch_small(folder: Path) -> list[Figure]:
    """10,000 files of 4 KiB from one provider, against one file of as many bytes between the same two."""
    root = small_files(folder)
    size = FILES * FILE_BYTES
    one = folder / "one.bin"
    one.write_bytes(os.urandom(size))
    with two(folder) as (anna, ben):
        many = anna.json("publish", str(root), "--title", "Many")["cid"]
        whole = anna.json("publish", str(one), "--title", "One")["cid"]
        seconds = timed(lambda: ben.json("get", many, timeout_s=FETCH_TIMEOUT_S))
        baseline = timed(lambda: ben.json("get", whole, timeout_s=FETCH_TIMEOUT_S))
    against = "one file of as many bytes"
    return [Figure("fetch 10,000 files of 4 KiB", size / seconds / 1e6, "MB/s", size / baseline / 1e6, against)]


class Missing(Exception):
    """This program is not here, or did not do it; the words say which."""


def beside(script: str, path: Path, folder: Path) -> float:
    """Seconds that another program took for the same file, in a network of its own where the system allows that."""
    environment = os.environ.get("P2PNODE_BENCH_VENV", "")
    python = Path(environment) / "bin" / "python"
    if not environment or not python.exists():
        raise Missing("not measured: its environment is missing (scripts/bench makes it)")
    if script == "syncthing.py" and not (os.environ.get("P2PNODE_SYNCTHING") or shutil.which("syncthing")):
        raise Missing("not measured: apt-get install syncthing")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [*alone(), str(python), str(BESIDE / script), str(path), str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FOREIGN_TIMEOUT_S)
        told = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        told = {}
    shutil.rmtree(folder, ignore_errors=True)
    if not told.get("same"):
        raise Missing("not measured: it did not bring the file")
    return float(told["seconds"])


def alone() -> list[str]:
    """A network that has nothing but loopback, and processes that all end with the first, if namespaces may be made."""
    command = ["unshare", "--net", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    try:
        allowed = subprocess.run([*command, "true"], capture_output=True).returncode == 0
    except OSError:
        allowed = False
    return command if allowed else []


# ---------------------------------------------------------------- many providers, memory

PROVIDERS = 4
SHAPED_BYTES = 128 * MIB
RATE_MBIT = 80
"""What each provider may send: 10 MB/s, so that neither processor nor disk is what is measured."""


def providers(folder: Path) -> list[Figure]:
    """128 MiB from four providers, each behind a link of R, against one of them. Runs itself in a network of its own, to shape it."""
    namespace = alone()
    command = [*namespace, sys.executable, "-m", "scripts.benchmarks.shaped", str(folder)]
    if not namespace:
        return [
            Figure(
                "four providers, each held to R",
                0.0,
                "MB/s",
                note="not measured: no network namespace may be made here",
            )
        ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FOREIGN_TIMEOUT_S)
    if done.returncode:
        return [
            Figure("four providers, each held to R", 0.0, "MB/s", note="not measured: " + done.stderr.strip()[-100:])
        ]
    told = json.loads(done.stdout.splitlines()[-1])
    rate = {count: SHAPED_BYTES / seconds / 1e6 for count, seconds in told["seconds"].items()}
    note = f"R = {RATE_MBIT / 8:g} MB/s; {told['used']} providers gave something"
    return [Figure("four providers, each held to R", rate[str(PROVIDERS)], "MB/s", rate["1"], "one provider", note)]


def moving_memory(folder: Path) -> list[Figure]:
    """The most memory of both daemons while 10 GiB move, against what they had before."""
    path = big_file(folder, GIB)
    with open(
        path, "r+b"
    ) as file:  # ten times the same GiB would be ten times the same leaves: every leaf gets a number
        for leaf in range(10 * 1024):
            file.seek(leaf * MIB)
            file.write(leaf.to_bytes(8, "big") + os.urandom(56))
        file.truncate(10 * GIB)
    with two(folder) as daemons:
        idle = [resident(daemon, "VmRSS") for daemon in daemons]
        anna, ben = daemons
        cid = anna.json("publish", str(path), "--title", "Ten", timeout_s=FETCH_TIMEOUT_S)["cid"]
        published = resident(anna, "VmHWM")
        seconds = timed(lambda: ben.json("get", cid, timeout_s=FETCH_TIMEOUT_S))
        most = [resident(daemon, "VmHWM") for daemon in daemons]
    note = f"10 GiB at {10 * GIB / seconds / 1e6:.0f} MB/s"
    return [
        Figure("memory after publishing 10 GiB", published, "MiB", idle[0], "idle before"),
        Figure("memory of the provider of 10 GiB", most[0], "MiB", idle[0], "idle before", note),
        Figure("memory of who fetches 10 GiB", most[1], "MiB", idle[1], "idle before", note),
    ]


def resident(daemon: RealDaemon, what: str) -> float:
    """MiB: VmRSS is now, VmHWM the most there ever was."""
    assert daemon.process is not None
    lines = Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024


# ---------------------------------------------------------------- the bare copy

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
        assert _digest(target) == _digest(path)
        return float(out.stdout)
    finally:
        sender.kill()
        sender.wait()
        sender.stdout.close()
        target.unlink(missing_ok=True)


def _digest(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
