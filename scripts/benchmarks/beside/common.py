"""What the scripts share: their own network, a free port, and whether the bytes are the same. Imports nothing of p2pnode."""

from __future__ import annotations

import fcntl
import hashlib
import json
import socket
import struct
import sys
from pathlib import Path

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def loopback_up() -> None:
    """In a network namespace of its own `lo` is down at first; elsewhere this changes nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(probe, SIOCGIFFLAGS, request))[1]
        if not flags & IFF_UP:
            fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resident_mib(pid: int) -> float:
    """MiB of VmHWM: the most it ever had."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def tell(**values: object) -> None:
    print(json.dumps(values), flush=True)


def arguments() -> tuple[Path, Path]:
    """(the file to move, a folder to work in)."""
    return Path(sys.argv[1]), Path(sys.argv[2])
