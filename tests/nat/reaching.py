"""What a daemon says of how it is reached, and what its router forwards."""

from __future__ import annotations

import subprocess
from typing import Any

from tests.nat.homes import until
from tests.nat.street import Street
from tests.support.daemons import RealDaemon


def reach(daemon: RealDaemon) -> dict[str, Any]:
    """`reach` of its status."""
    said: dict[str, Any] = daemon.json("status")["reach"]
    return said


def becomes(daemon: RealDaemon, **wanted: object) -> dict[str, Any]:
    """What it says, once it says all of this."""

    def fits() -> dict[str, Any] | None:
        said = reach(daemon)
        return said if all(said[name] == value for name, value in wanted.items()) else None

    found: dict[str, Any] = until(fits, f"a node that is {wanted}")
    return found


def mapped_ports(net: Street, router: int | None) -> int:
    """How many ports miniupnpd forwards now."""
    assert router is not None
    command = ["nft", "list", "chain", "inet", "miniupnpd", "prerouting_miniupnpd"]
    said = subprocess.run(
        [*net.spaces.within(router), *command], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    return said.count("dnat")
