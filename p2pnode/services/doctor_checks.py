"""Each thing that `doctor` looks at, as a function from what is known to words: what is so, whether that is well, and what to do.

Knows no clock, network or disk: `services.doctor` gathers what is known. A finding is "good", a "note" (it works, and could be better, or
is as you set it), or "bad" (something does not work). Words are for people and carry no secrets and nobody's peer ID.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from statistics import median
from typing import Final, Literal

from p2pnode.core.probe_messages import Answer, Block, Found
from p2pnode.core.traffic_rules import bytes_in_words
from p2pnode.ports import Reachability
from p2pnode.services.announcing import Share
from p2pnode.services.reachability import Standing

State = Literal["good", "note", "bad"]

CLOCK_WRONG_S: Final = 60.0
"""Seconds between this clock and others' from which records seem to come from the future, or a day begins elsewhere."""
SCARCE_DESCRIPTORS: Final = 0.8
"""Share of the allowed files and sockets from which new connections will soon be refused."""
FEW_DESCRIPTORS: Final = 1024
"""Below this a node with all of its connections and a publishing runs out."""
NEARLY_FULL: Final = 0.9
"""Of a quota or of watched works."""
FOUND_PERCENT: Final = 99
"""Of a sample of keys: below it something is lost that was told."""
DHT_PEERS: Final = 3
"""Contacts of the DHT below which what is told there is soon forgotten: it is kept by the nearest ones, who come and go."""
SYNC_LATE_S: Final = 900.0
"""A circle is compared every two minutes where a member is connected."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of an examination. `check` is its stable name; `hint` says what to do, "" where nothing is to be done."""

    check: str
    state: State
    words: str
    hint: str = ""


def check_peers(connected: int, *, lan: bool, bootstrap: int) -> Finding:
    """Is anybody there?"""
    if connected:
        return Finding("peers", "good", f"connected to {_count(connected, 'peer')}")
    where = "on the local network and at known addresses" if lan or bootstrap else "at known addresses"
    return Finding(
        "peers",
        "bad",
        f"no peer is connected; looking {where}",
        "connect to one you know: p2pnode peers connect MULTIADDR, or join a circle with an invite",
    )


def check_ports(addresses: Sequence[str]) -> Finding:
    """Where do we listen, and can that be reached from another machine?"""
    hosts = {parts[2] for parts in (address.split("/") for address in addresses) if len(parts) > 2}
    relayed = any("/p2p-circuit" in address for address in addresses)
    if not addresses:
        return Finding("ports", "bad", "this node listens nowhere", "see `listen` in: p2pnode help settings")
    kinds = [kind for kind in map(_kind_of_host, hosts) if kind]
    if "public" in kinds:
        return Finding(
            "ports", "good", f"listening at {_count(len(addresses), 'address', 'addresses')}, one of them public"
        )
    if relayed:
        return Finding("ports", "note", "reachable from elsewhere through a relay only", _OPEN_PORT)
    if kinds and set(kinds) == {"loopback"}:
        return Finding(
            "ports",
            "note",
            "listening on this machine only (127.0.0.1): nobody else can connect",
            'set listen = ["/ip4/0.0.0.0/tcp/4001"] in config.toml',
        )
    return Finding("ports", "note", "listening at addresses of the local network only", _OPEN_PORT)


_OPEN_PORT = "let the router forward the port (p2pnode status shows it), or name a relay: p2pnode help settings"


def _kind_of_host(host: str) -> str | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if address.is_loopback:
        return "loopback"
    return "public" if address.is_global else "local"


def check_reach(reach: Reachability, standing: Standing) -> Finding:
    """What is this node to others, in the words of `status`; how many peers dialled back to find out?"""
    asked = f" ({_count(reach.voices, 'peer')} dialled back)" if reach.voices else ""
    if standing.state == "reachable" or (standing.state == "unknown" and not standing.hint):
        return Finding("reach", "good", standing.words + asked)
    return Finding("reach", "note", standing.words + asked, standing.hint)


def check_read_back(answers: Sequence[Answer], asked: int, works: int) -> Finding:
    """Could others fetch a random block of our works?"""
    if not works:
        return Finding("read_back", "note", "no public work is here that others could fetch")
    said = [answer.block for answer in answers if answer.block not in (Block.NOT_ASKED, Block.BUSY)]
    fetched = said.count(Block.FETCHED)
    if not said:
        why = "no connected peer can be asked" if not asked else "no peer had time to try"
        return Finding(
            "read_back", "note", f"whether others can fetch from here is not known: {why}", "try again later"
        )
    if fetched == len(said):
        return Finding(
            "read_back", "good", f"{_count(fetched, 'peer')} fetched a random block from here and found it right"
        )
    if said.count(Block.FALSE) or said.count(Block.MISSING):
        return Finding(
            "read_back",
            "bad",
            f"only {fetched} of {_count(len(said), 'peer')} got a random block: some were missing or false",
            "see what is damaged: p2pnode verify",
        )
    return Finding(
        "read_back",
        "bad",
        f"only {fetched} of {_count(len(said), 'peer')} got a random block in time",
        "the line may be slow or full: p2pnode limits shows what it carries",
    )


def check_found(answers: Sequence[Answer], works: int) -> Finding:
    """Do others find our works in the DHT?"""
    said = [answer.found for answer in answers if answer.found not in (Found.NOT_ASKED, Found.BUSY)]
    if not works or not said:
        return Finding("found", "note", "whether strangers find your works is not known: nobody looked")
    found = said.count(Found.YOU)
    words = (
        f"{found} of {_count(len(said), 'peer')} found a random work of yours in the DHT ({100 * found // len(said)} %)"
    )
    if found == len(said):
        return Finding("found", "good", words)
    state: State = "note" if found else "bad"
    return Finding("found", state, words, "what was published lately is told within the hour; look again then")


def check_clock(offsets_s: Sequence[float]) -> Finding:
    """Does this clock agree with others'? `offsets_s`: theirs minus ours."""
    if not offsets_s:
        return Finding("clock", "note", "nobody could be asked for the time")
    off = median(offsets_s)
    asked = _count(len(offsets_s), "peer")
    if abs(off) <= CLOCK_WRONG_S:
        return Finding("clock", "good", f"the clock agrees with {asked} to {max(1, round(abs(off)))} s")
    direction = "behind" if off > 0 else "ahead of"
    words = f"the clock is {round(abs(off))} s {direction} {asked}"
    if len(offsets_s) == 1:
        return Finding("clock", "note", words, "one peer may be wrong itself; compare with another clock")
    return Finding("clock", "bad", words, "set the clock: timedatectl set-ntp true")


def check_disk(free: int | None, floor: int, stored: int, quota: int) -> Finding:
    """Is there room for works?"""
    if free is None:
        return Finding(
            "disk", "bad", "the library's disk does not answer", "see whether it is mounted; nothing is lost meanwhile"
        )
    room = f"{bytes_in_words(free)} free, {bytes_in_words(stored)} of {bytes_in_words(quota)} stored"
    if free < floor:
        return Finding(
            "disk",
            "bad",
            f"the disk is nearly full: {room}; {bytes_in_words(floor)} stay free",
            "free some space, or let works go: p2pnode storage",
        )
    if stored > quota * NEARLY_FULL:
        return Finding("disk", "note", f"the quota is nearly used: {room}", "a larger quota_bytes, or: p2pnode storage")
    return Finding("disk", "good", room)


def check_damage(damaged: int) -> Finding:
    """Is everything that is held right?"""
    if not damaged:
        return Finding("works", "good", "nothing that is held is known to be damaged")
    return Finding(
        "works",
        "bad",
        f"{_count(damaged, 'work')} damaged or out of reach",
        "p2pnode verify tells what; --repair mends",
    )


def check_dht(contacts: int, connected: int) -> Finding:
    """Does the DHT know us?"""
    if contacts >= DHT_PEERS:
        return Finding("dht", "good", f"the table of the DHT holds {_count(contacts, 'peer')}")
    state: State = "note" if contacts or not connected else "bad"
    return Finding(
        "dht",
        state,
        f"the table of the DHT holds {_count(contacts, 'peer')}: works are hard to find by strangers",
        "connect to more peers; the table fills by itself",
    )


def check_announcing(waiting: int, tried: int, *, more: bool = False) -> Finding:
    """How much is still to be told to the DHT? `tried`: of those, told to nobody so far."""
    if not waiting:
        return Finding("announcing", "good", "everything that is public has been announced")
    count = f"{'more than ' if more else ''}{_count(waiting, 'key')}"
    if tried == waiting:
        return Finding("announcing", "note", f"{count} wait to be announced: nobody could be told yet", "see `dht`")
    return Finding("announcing", "note", f"{count} wait to be announced; it goes on by itself")


def check_round(keys: int, left: int, next_s: float | None) -> Finding:
    """Everything is told again within a day: how far is that, or in how many seconds does it begin? None: no round has been yet."""
    if left:
        done = f"{keys - left} of {_count(keys, 'key')} are told again so far ({100 * (keys - left) // max(1, keys)} %)"
        words = f"{done}; it goes on by itself"
    elif keys and next_s is not None:
        hours = max(1, round(next_s / 3600))
        words = f"the last round is done; {_count(keys, 'key')} are told again in about {_count(hours, 'hour')}"
    else:
        words = "nothing was due to be told again yet"
    return Finding("announcing_again", "good", words)


def check_share(share: Share | None) -> Finding:
    """Of a sample of our keys, how many does a stranger find?"""
    if share is None or not share.asked:
        return Finding("strangers", "note", "how much of yours strangers find is not known: nobody could be asked")
    percent = 100 * share.found // share.asked
    words = f"strangers find {share.found} of {share.asked} random keys of yours ({percent} %)"
    if percent >= FOUND_PERCENT:
        return Finding("strangers", "good", words)
    return Finding("strangers", "note", words, "what was published lately is told within the hour; look again then")


def check_sync(lags_s: Sequence[float | None]) -> Finding:
    """Are our circles in step? One for each circle: seconds since a session settled, None: none since the start."""
    if not lags_s:
        return Finding("sync", "good", "you are in no circle; nothing is to be kept in step")
    never = lags_s.count(None)
    known = [lag for lag in lags_s if lag is not None]
    circles = _count(len(lags_s), "circle")
    if never == len(lags_s):
        return Finding(
            "sync",
            "note",
            f"no member of your {circles} was met since the start: verdicts may be incomplete",
            "they catch up by themselves when a member is connected",
        )
    late = sum(lag > SYNC_LATE_S for lag in known)
    if never or late:
        return Finding(
            "sync", "note", f"{never + late} of {circles} were not compared lately; verdicts there may be old"
        )
    return Finding("sync", "good", f"{circles} compared with members within {max(1, round(max(known) / 60))} min")


def check_descriptors(used: tuple[int, int] | None) -> Finding:
    """Are there files and sockets left?"""
    if used is None:
        return Finding("descriptors", "good", "the system sets no limit of files that could be read")
    open_now, most = used
    words = f"{open_now} of {most} files and sockets are open"
    hint = "raise the limit: ulimit -n 4096; the unit of p2pnode service install does so by itself"
    if open_now >= most * SCARCE_DESCRIPTORS:
        return Finding("descriptors", "bad", words, hint)
    return Finding(
        "descriptors", "note" if most < FEW_DESCRIPTORS else "good", words, hint if most < FEW_DESCRIPTORS else ""
    )


def check_watches(watched: int, most: int) -> Finding:
    """Folders are watched by looking at them (no limit of the kernel's concerns us); there is one of ours."""
    words = f"{watched} of {most} works are watched for changes"
    if watched < most * NEARLY_FULL:
        return Finding("watches", "good", words)
    return Finding("watches", "note", words, "let some go: p2pnode watch off WORK")


def check_limits(waiting: str | None) -> Finding:
    """Do works wait for a budget?"""
    if waiting is None:
        return Finding("limits", "good", "no limit holds works back")
    return Finding("limits", "note", f"works wait: {waiting}", "p2pnode limits shows and changes it")


def check_linger(as_service: bool, lingers: bool | None) -> Finding | None:
    """Does the service end when its owner logs out? None where that is no question."""
    if not as_service or lingers is None:
        return None
    if lingers:
        return Finding("service", "good", "the service goes on when you log out")
    return Finding("service", "bad", "the service ends when you log out", "let it go on: loginctl enable-linger")


def _count(count: int, noun: str, plural: str | None = None) -> str:
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
