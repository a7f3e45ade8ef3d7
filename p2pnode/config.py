"""Settings of a node: one frozen object, read once at start from defaults, TOML file, environment and arguments, in that order.

With P2PNODE_HOME (or --home) all state lies in that one folder; without it platformdirs says where a node lives.
Clients need only `find_home` and `Home`: this module imports nothing heavy.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from p2pnode.core.traffic_rules import check_budget, check_bytes, check_rate, parse_schedule
from p2pnode.errors import UsageError
from p2pnode.limits import DISK_FLOOR_BYTES, LIBRARY_QUOTA_BYTES

HOME_VARIABLE = "P2PNODE_HOME"
VARIABLE_PREFIX = "P2PNODE_"
NETWORK_CHARACTERS = 63
"""Of a network's name, as of a name in DNS: it stands in protocol ids and in answers of the local network."""
_NETWORK = re.compile(rf"[A-Za-z0-9._-]{{1,{NETWORK_CHARACTERS}}}")
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one node and the names in it."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def identity(self) -> Path:
        return self.path / "identity.key"

    @property
    def host_key(self) -> Path:
        return self.path / "host.key"

    @property
    def database(self) -> Path:
        return self.path / "node.db"

    @property
    def library(self) -> Path:
        return self.path / "library"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def control(self) -> Path:
        """A text file that names the control socket (or port and token); clients read this and nothing else."""
        return self.run / "control"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person may set. Every field can stand in config.toml and, upper-cased behind P2PNODE_, in the environment."""

    listen: tuple[str, ...] = ()
    """Multiaddrs to listen on; empty = every interface, IPv4 and IPv6 (where there is any), on one free port picked once and kept."""
    bootstrap: tuple[str, ...] = ()
    """Multiaddrs of peers to connect to at start; none is built in."""
    relays: tuple[str, ...] = ()
    """Multiaddrs of relays to be reachable through; without any, peers that offer it are asked when nobody comes by himself."""
    relay_serve: bool = False
    """Be a relay for peers that cannot reach each other, within limits, whatever is known of how this node is reached."""
    relay_when_public: bool = True
    """Be such a relay as soon as peers find that the internet reaches this node, and as long as it does."""
    map_ports: bool = True
    """Ask the router to forward a port to this node (NAT-PMP, UPnP); it is given back at a clean stop."""
    lan: bool = True
    """Find and be found on the local network (multicast DNS)."""
    ipfs: bool = False
    """Tell the DHT of IPFS what is public here, and find in it what others have."""
    network: str = "p2pnode"
    """Name of the network: nodes of different names do not find each other, in the DHT or on the local network."""
    library: str = ""
    """Where fetched works go; empty = `library` in the home. Once loaded it is an absolute path: a relative one is in the home."""
    quota_bytes: int = LIBRARY_QUOTA_BYTES
    """Bytes the store may own."""
    floor_bytes: int = DISK_FLOOR_BYTES
    """Bytes that are always left free on the disk."""
    rate_up_bytes_s: int = 0
    """Bytes a second to others, headers included; 0 = no limit."""
    rate_down_bytes_s: int = 0
    """Bytes a second from others; 0 = no limit."""
    rate_schedule: tuple[str, ...] = ()
    """Hours with other rates: "22:00-07:00 unlimited", "mon-fri 08:00-18:00 up=50kB down=1MB"; the first that is open holds."""
    budget_hour_bytes: int = 0
    """Bytes in an hour, both ways together; 0 = no budget."""
    budget_month_bytes: int = 0
    """Bytes in a month, both ways together; 0 = no budget."""
    remote: bool = False
    """Let paired devices that were certified for it drive this node; off, nothing answers them."""
    gateway: bool = False
    """Open the gateway at the start: works in a browser on this machine, behind a token."""
    gateway_port: int = 0
    """The gateway's port on 127.0.0.1; 0 = a free one each time."""
    metrics_port: int = 0
    """Metrics for Prometheus on this port of 127.0.0.1; 0 = none."""
    log_level: str = "info"
    """One of debug, info, warning, error."""

    def __post_init__(self) -> None:
        if self.log_level not in LOG_LEVELS:
            raise UsageError(f"log_level is {self.log_level!r}", hint=f"one of: {', '.join(LOG_LEVELS)}")
        if not _NETWORK.fullmatch(self.network):
            raise UsageError(
                f"network is {self.network[:NETWORK_CHARACTERS]!r}",
                hint=f"1 to {NETWORK_CHARACTERS} letters, digits, dashes, underscores and dots, and nothing else",
            )
        for name, zero in (("gateway_port", "a free one"), ("metrics_port", "none")):
            if not 0 <= getattr(self, name) <= 65535:
                raise UsageError(
                    f"{name} is {getattr(self, name)}", hint=f"a port is a number from 1 to 65535; 0 is {zero}"
                )
        for name in ("rate_up_bytes_s", "rate_down_bytes_s"):
            check_rate(name, getattr(self, name))
        for name in ("budget_hour_bytes", "budget_month_bytes"):
            check_budget(name, getattr(self, name))
        parse_schedule(self.rate_schedule)
        check_bytes("quota_bytes", self.quota_bytes, zero="no room for fetched works")
        check_bytes("floor_bytes", self.floor_bytes, zero="down to the last byte")


def find_home(argument: str | None, environment: Mapping[str, str] = os.environ) -> Home:
    """--home, else P2PNODE_HOME, else the platform's folder for application data."""
    chosen = argument or environment.get(HOME_VARIABLE)
    if chosen:
        return Home(Path(os.path.abspath(os.path.expanduser(chosen))))
    from platformdirs import user_data_path  # only the rare caller without a home pays for the import

    return Home(user_data_path("p2pnode", appauthor=False))


def load_settings(home: Home, environment: Mapping[str, str] = os.environ) -> Settings:
    """Defaults, then config.toml, then environment. UsageError names the file or variable and what is wrong with it."""
    settings = Settings()
    if home.config.exists():
        settings = _apply(settings, _read_toml(home.config), str(home.config))
    names = {f.name for f in fields(Settings)}
    for name in sorted(names):
        variable = VARIABLE_PREFIX + name.upper()
        if variable in environment:
            settings = _apply(settings, {name: _from_text(name, environment[variable])}, variable)
    return replace(settings, library=_library_path(home, settings.library)) if settings.library else settings


def _library_path(home: Home, text: str) -> str:
    """Absolute, whatever folder a command is called in. UsageError for a folder in which the node keeps other things."""
    if "\0" in text:
        raise UsageError("library holds a NUL, which no path has")
    path = Path(os.path.abspath(home.path / os.path.expanduser(text)))
    inner = [home.run, home.log]
    if path == home.path or any(path == folder or folder in path.parents for folder in inner):
        raise UsageError(
            f"library is {text!r}: {path} is where the node keeps other things",
            hint="give the works a folder of their own, like /srv/works; a relative path is in the home",
        )
    return str(path)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no TOML, or too long a number
        raise UsageError(f"{path} cannot be read: {error}") from error


_NUMBER = re.compile(r"-?[0-9]{1,30}")
"""In the environment: what is longer is no number that anybody means, and Python reads no number without end."""


def _from_text(name: str, text: str) -> object:
    kind = type(getattr(Settings(), name))
    if kind is tuple:
        return [part for part in text.replace(",", " ").split() if part]
    if kind is bool:
        lowered = text.strip().lower()
        if lowered in ("1", "true", "yes", "on"):
            return True
        return False if lowered in ("0", "false", "no", "off") else text
    if kind is int:
        return int(text) if _NUMBER.fullmatch(text.strip()) else text
    return text


_KINDS = {int: "a whole number", bool: "true or false", str: "a text"}


def _apply(settings: Settings, values: Mapping[str, object], source: str) -> Settings:
    changes: dict[str, Any] = {}
    for name, value in values.items():
        if name not in {f.name for f in fields(Settings)}:
            known = ", ".join(f.name for f in fields(Settings))
            raise UsageError(f"{source} sets {name!r}, which is no setting", hint=f"settings are: {known}")
        expected = type(getattr(settings, name))
        if expected is tuple:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise UsageError(f"{source}: {name} is a list of texts")
            changes[name] = tuple(value)
        elif type(value) is not expected:
            raise UsageError(f"{source}: {name} is {value!r}, but it is {_KINDS[expected]}")
        else:
            changes[name] = value
    return replace(settings, **changes)
