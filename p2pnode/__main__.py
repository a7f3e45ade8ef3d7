"""`p2pnode` and `python -m p2pnode`: the command line, which replaces itself by the daemon or the terminal UI when asked for those."""

from __future__ import annotations

import sys


def main() -> int:
    """The exit status of one call. Ctrl-C is quiet from the first import on."""
    try:
        from p2pnode.cli.main import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
