"""The composition root: builds the adapters, opens the nursery, starts and stops everything in order, listens to signals.

Order of start: lock, identity, store, network, services, control socket, the `ready` line. Order of stop: the reverse.
`python -m p2pnode.daemon` runs it; its only line on stdout is `ready PEER_ID MULTIADDR...`, logs go to stderr.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import trio

from p2pnode.config import Home, Settings, find_home, load_settings
from p2pnode.control.events import EventBus
from p2pnode.control.listening import listen
from p2pnode.control.lock import DaemonLock
from p2pnode.control.server import RemoteSessions, TaskStatus, serve
from p2pnode.errors import P2pnodeError
from p2pnode.flood_gate import FloodGate
from p2pnode.gateway.at_start import keep_metrics, open_gateway
from p2pnode.gateway.door import Door
from p2pnode.local import notify
from p2pnode.local.identity import load_or_create, load_or_create_host_key
from p2pnode.net.nat.outside import Wishes
from p2pnode.net.opening import open_network
from p2pnode.net.relay.places import RelayLimits
from p2pnode.ports import Emit
from p2pnode.services import metrics
from p2pnode.services.api import methods, remote_methods
from p2pnode.services.background import contained
from p2pnode.services.closed_doors import GATEWAY
from p2pnode.services.kept_ports import every_interface, keep_ports, kept_ports
from p2pnode.services.me import Me
from p2pnode.services.node import Node
from p2pnode.store.sqlite import open_store

log = logging.getLogger("p2pnode.daemon")

PRIVATE_UMASK = 0o077
"""The home is its owner's alone, whatever the shell's umask is: it holds keys, searches and what was read."""


class _LogLine(logging.Formatter):
    """time level room message, one line each: readable by people, and by machines that split at spaces."""

    def __init__(self, *, for_journal: bool) -> None:
        super().__init__()
        self._for_journal = for_journal

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage().replace("\n", " | ")
        if record.exc_info and record.exc_info[1] is not None:
            text += " | " + _one_line(record.exc_info[1])
        if self._for_journal:  # which knows the time by itself, and wants the gravity in front
            return f"{notify.priority(record.levelno)}{record.name} {text}"
        return f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(record.created))} {record.levelname.lower()} {record.name} {text}"


def _one_line(error: BaseException) -> str:
    """Where an unexpected error came from, in one line."""
    error = _first(error)
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename.rpartition('p2pnode')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error} ({place})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a daemon in the foreground until it is stopped. The exit status."""
    options = _parse(arguments)
    try:
        home = find_home(options.home)
        settings = _settings(home, options)
        _start_logging(settings)
        os.umask(PRIVATE_UMASK)
        gc.freeze()  # what the imports made stays anyway: looking through it for garbage again and again costs a fifth of publishing
        lock = DaemonLock.acquire(home)
        try:
            _run_to_the_end(home, settings)
        finally:
            lock.release()
    except P2pnodeError as error:
        print(f"p2pnode: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(f"p2pnode: {error.filename or options.home or 'the home'}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _run_to_the_end(home: Home, settings: Settings) -> None:
    """Nurseries raise groups; what a person should read is the one error of ours in it. A bug keeps its group."""
    try:
        trio.run(_run, home, settings)
    except BaseExceptionGroup as group:
        known = group.subgroup((P2pnodeError, OSError))
        if known is None:
            raise
        raise _first(known) from group


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="p2pnode daemon", description="Run a node in the foreground.")
    parser.add_argument("--home", help="folder that holds all state of the node")
    parser.add_argument("--listen", action="append", default=[], metavar="MULTIADDR")
    parser.add_argument("--bootstrap", action="append", default=[], metavar="MULTIADDR")
    parser.add_argument("--no-lan", action="store_true", help="do not look for peers on the local network")
    return parser.parse_args(arguments)


def _settings(home: Home, options: argparse.Namespace) -> Settings:
    settings = load_settings(home)
    if options.listen:
        settings = replace(settings, listen=tuple(options.listen))
    if options.bootstrap:
        settings = replace(settings, bootstrap=settings.bootstrap + tuple(options.bootstrap))
    return replace(settings, lan=False) if options.no_lan else settings


def _start_logging(settings: Settings) -> None:
    line = logging.StreamHandler(sys.stderr)
    line.setFormatter(_LogLine(for_journal=notify.writes_to_journal(sys.stderr.fileno())))
    line.addFilter(FloodGate())
    logging.basicConfig(level=logging.WARNING, handlers=[line], force=True)
    logging.getLogger("p2pnode").setLevel(settings.log_level.upper())


async def _run(home: Home, settings: Settings) -> None:
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(_watch_signals, stop))
        if (pause_s := notify.watchdog_s()) is not None:
            nursery.start_soon(_show_life, pause_s)
        bus = EventBus()
        async with open_node(home, settings, bus.emit, stop) as node:
            listening = listen(home)
            try:
                await nursery.start(partial(serve, listening, methods(node), bus, node.devices.control.reach))
                if settings.remote:
                    node.devices.control.start(RemoteSessions(remote_methods(node), bus))
                _say_ready(node)
                await stop.wait()
                notify.tell(notify.STOPPING)
                log.info("stopping")
            finally:
                listening.close()
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_node(home: Home, settings: Settings, emit: Emit, stop: trio.Event) -> AsyncIterator[Node]:
    """All of a node but its control socket and signals: for the daemon, and for whoever wants a node in its own process."""
    seed, created = load_or_create(home.identity, os.environ.get("P2PNODE_PASSPHRASE"))
    if created:
        log.info("a new identity was created; write down its backup: p2pnode identity backup")
    library = settings.library or str(home.library)
    wanted = settings.listen or every_interface()
    async with (
        open_store(home.database, library, settings.quota_bytes, settings.floor_bytes, time.time) as store,
        open_network(
            host_key=load_or_create_host_key(home.host_key),
            listen=await kept_ports(store, wanted),
            network_name=settings.network,
            bootstrap=settings.bootstrap,
            lan=settings.lan,
            address_book=store.address_book,
            providers=store.provider_records,
            clock=time.time,
            ipfs=settings.ipfs,
            relay_limits=RelayLimits() if settings.relay_serve else None,
            relays=settings.relays,
            wishes=Wishes(map_ports=settings.map_ports, relay_when_public=settings.relay_when_public),
        ) as network,
    ):
        await keep_ports(store, wanted, network.addresses())
        async with trio.open_nursery() as nursery:
            node = Node(home, settings, store, network, Me(seed), time.time, emit, stop)
            await node.start(nursery)
            doors = node.doctor.doors
            node.gateway = door = Door(store, node.reading, nursery, lambda: doors.opened(GATEWAY))
            if settings.gateway:
                await contained(open_gateway, door, settings.gateway_port, doors)
            if settings.metrics_port:
                nursery.start_soon(contained, keep_metrics, partial(metrics.text, node), settings.metrics_port, doors)
            yield node
            nursery.cancel_scope.cancel()


def _say_ready(node: Node) -> None:
    print("ready", node.network.peer_id, *node.network.addresses(), flush=True)
    notify.tell(notify.READY, f"STATUS=peer ID {node.network.peer_id}")


async def _show_life(pause_s: float) -> None:
    """For systemd's watchdog: a loop that is stuck does not get here. Also while the node starts and stops."""
    while True:
        notify.tell(notify.ALIVE)
        await trio.sleep(pause_s)


async def _watch_signals(stop: trio.Event, task_status: TaskStatus) -> None:
    """The first SIGTERM or SIGINT stops cleanly, the second one at once."""
    watched = [s for s in (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", None)) if s is not None]
    with trio.open_signal_receiver(*watched) as signals:
        task_status.started()
        async for number in signals:
            if stop.is_set():
                os._exit(128 + number)
            stop.set()


if __name__ == "__main__":
    sys.exit(main())
