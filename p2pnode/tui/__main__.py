"""`python -m p2pnode.tui`: open the terminal UI of a home, and say afterwards that the node goes on without it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from p2pnode.config import HOME_VARIABLE, Home, find_home
from p2pnode.errors import EXIT_INTERRUPTED, EXIT_OK, P2pnodeError

PASSPHRASE_VARIABLE = "P2PNODE_PASSPHRASE"
"""Where the daemon looks for the passphrase of a locked identity."""


def main(arguments: list[str] | None = None) -> int:
    """Run until the person quits. Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="p2pnode tui", description="The terminal UI. It starts the node when none runs."
    )
    parser.add_argument("--home", help=f"folder of the node (default: ${HOME_VARIABLE}, else the platform's)")
    parser.add_argument("--no-start", action="store_true", help="do not start a node when none runs")
    parser.add_argument("--node", metavar="NAME", help="drive a paired machine of yours, through this one's node")
    options = parser.parse_args(arguments)
    try:
        home = find_home(options.home)
    except P2pnodeError as error:
        print(f"p2pnode: {error.message}", file=sys.stderr)
        return error.exit_status
    try:
        _ask_passphrase(home)
    except (KeyboardInterrupt, EOFError):
        return EXIT_INTERRUPTED
    except P2pnodeError as error:
        print(f"p2pnode: {error.message}\n{error.hint}", file=sys.stderr)
        return error.exit_status
    from p2pnode.tui.app import P2pnodeApp  # after the arguments: --help must not wait for Textual

    app = P2pnodeApp(home, autostart=not options.no_start, device=options.node)
    app.run()
    print(farewell(app.node.link.online, options.home) if options.node is None else f"{options.node} keeps running.")
    return app.return_code or EXIT_OK


def _ask_passphrase(home: Home) -> None:
    """A node that we may have to start, and whose identity is locked, needs the passphrase: ask while this is a plain terminal."""
    if PASSPHRASE_VARIABLE in os.environ or not home.identity.exists() or not sys.stdin.isatty():
        return
    from p2pnode.control.lock import running_pid
    from p2pnode.local.identity import is_sealed

    if running_pid(home) is None and is_sealed(home.identity):
        from getpass import getpass

        os.environ[PASSPHRASE_VARIABLE] = getpass("Passphrase of this node's identity: ")


def farewell(running: bool, home_argument: str | None) -> str:
    """What a person should know once the screen is gone."""
    home = f" --home {shlex.quote(os.path.abspath(home_argument))}" if home_argument else ""
    if running:
        return f"The node keeps running. Stop it with: p2pnode{home} stop"
    return f"The node does not run. Start it with: p2pnode{home} daemon"


if __name__ == "__main__":
    sys.exit(main())
