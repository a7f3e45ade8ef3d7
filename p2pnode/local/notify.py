"""Telling systemd how the service is (sd_notify): ready, stopping, alive; and which lines of the log are grave, for its journal.

A datagram to the socket that systemd names in the environment; without one nothing is sent. Never fails: a service manager that went
away must not take the node along. Called by the daemon.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"
WATCHDOG_SHARE = 3
"""Signs of life in one interval of the watchdog: one that is late costs nothing."""
_GRAVITY = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))
"""Python's levels and syslog's priorities (sd-daemon(3))."""


def tell(*lines: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send lines like READY=1 or STATUS=... in one message. Whether somebody was told."""
    path = environment.get("NOTIFY_SOCKET")
    if not path or not hasattr(socket, "AF_UNIX"):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0)) as notify:
            notify.setblocking(False)
            notify.sendto("\n".join(lines).encode(), "\0" + path[1:] if path.startswith("@") else path)
    except OSError:
        return False
    return True


def watchdog_s(environment: Mapping[str, str] = os.environ, pid: int | None = None) -> float | None:
    """Seconds between two signs of life that systemd waits for; None: it waits for none, or of another process."""
    for_pid, interval = environment.get("WATCHDOG_PID", ""), environment.get("WATCHDOG_USEC", "")
    if not interval.isdecimal() or int(interval) == 0 or not environment.get("NOTIFY_SOCKET"):
        return None
    if for_pid and for_pid != str(os.getpid() if pid is None else pid):
        return None
    return int(interval) / 1e6 / WATCHDOG_SHARE


def writes_to_journal(descriptor: int, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether what is written there goes to systemd's journal, which adds time and name by itself."""
    try:
        device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
        facts = os.fstat(descriptor)
        return (int(device), int(inode)) == (facts.st_dev, facts.st_ino)
    except (ValueError, OSError):
        return False


def priority(level: int) -> str:
    """What stands before a line for the journal: "<3>" for an error."""
    return f"<{next((number for least, number in _GRAVITY if level >= least), 7)}>"
