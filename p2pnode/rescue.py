"""The composition root of `p2pnode rescue`: a damaged database is set aside and made anew, while no daemon runs.

Replaces the command line's process, as the daemon does, because the command line knows no store. What it did goes to stdout, as text or as
one JSON object; errors as the command line's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from p2pnode.config import find_home, load_settings
from p2pnode.control.lock import DaemonLock
from p2pnode.core.text import safe
from p2pnode.errors import P2pnodeError
from p2pnode.store.rescue import Rescued, rescue


def main(arguments: Sequence[str] | None = None) -> int:
    """Rescue the database of a home. The exit status."""
    parser = argparse.ArgumentParser(prog="p2pnode rescue", description="Make a damaged database anew.")
    parser.add_argument("--home")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--anyway", action="store_true")
    options = parser.parse_args(arguments)
    try:
        home = find_home(options.home)
        settings = load_settings(home)
        lock = DaemonLock.acquire(home)
        try:
            rescued = rescue(str(home.database), settings.library or str(home.library), anyway=options.anyway)
        finally:
            lock.release()
    except P2pnodeError as error:
        return _failed(error, as_json=options.json)
    except OSError as error:
        return _failed(P2pnodeError(f"{error.filename or 'the home'}: {error.strerror or error}"), as_json=options.json)
    if options.json:
        print(json.dumps(_told(rescued)))
    else:
        print("\n".join(_lines(rescued)))
    return 0


def _failed(error: P2pnodeError, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"code": error.code, "message": error.message, "hint": error.hint}), file=sys.stderr)
    else:
        print(f"p2pnode: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
    return error.exit_status


def _told(rescued: Rescued) -> dict[str, object]:
    return {
        "problems": rescued.problems,
        "set_aside": rescued.set_aside or None,
        "rows": rescued.rows,
        "incomplete": rescued.incomplete,
        "unchecked": rescued.unchecked,
        "lost": [
            {"cid": str(one.root), "titles": list(one.titles), "path": one.path, "in_place": not one.owned}
            for one in rescued.lost
        ],
    }


def _lines(rescued: Rescued) -> list[str]:
    if not rescued.set_aside:
        return ["The database is healthy; nothing was changed."]
    lines = [f"The old database is kept as {rescued.set_aside}."]
    counts = ", ".join(f"{rescued.rows.get(name, 0)} {name}" for name in ("records", "circles", "works", "contents"))
    lines.append(f"Made anew from what could be read: {counts}.")
    if rescued.incomplete:
        lines.append(f"Not everything could be read of: {', '.join(rescued.incomplete)}.")
    if rescued.unchecked:
        lines.append(f"{rescued.unchecked} leaves are looked for in their files when the daemon starts.")
    for one in rescued.lost:
        what = ", ".join(one.titles) or str(one.root)
        again = "get it again" if one.owned else "publish it again"
        lines.append(f"Lost: {safe(what)} ({safe(one.path)} is as it was; {again})")
    return lines


if __name__ == "__main__":
    sys.exit(main())
