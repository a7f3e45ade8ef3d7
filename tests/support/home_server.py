"""A desk and a home server as real daemons, paired through the real command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support.daemons import RealDaemon

Start = Callable[..., RealDaemon]
DEADLINE_S = 60.0


def start_server(start: Start, tmp_path: Path, name: str = "server", *, remote: bool = True) -> RealDaemon:
    (tmp_path / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / name / "config.toml").write_text(f"remote = {str(remote).lower()}\n")
    return start(name)


def show_code(server: RealDaemon) -> tuple[Any, str]:
    """`device pair` on the server: the waiting command, and the code it printed."""
    shown = server.begin("device", "pair", "--json")
    assert shown.stdout is not None
    return shown, str(json.loads(shown.stdout.readline())["code"])


def paired(desk: RealDaemon, server: RealDaemon, name: str = "server", *, may: Sequence[str] = ()) -> None:
    shown, code = show_code(server)
    roles = [word for role in may for word in ("--may", role)]
    answer = desk.json("device", "pair", code, "--at", server.address, "--name", name, "--as", "desk", *roles)
    out, _ = shown.communicate(timeout=DEADLINE_S)
    assert shown.returncode == 0 and json.loads(out)["check"] == answer["check"]
