"""`p2pnode` and `python -m p2pnode`: the command line, which replaces itself by the daemon or the terminal UI when asked for those."""

from __future__ import annotations

import os
import sys

STANDARD_STREAMS = 3


def main() -> int:
    """The exit status of one call. Ctrl-C is quiet from the first import on."""
    _open_standard_streams()
    try:
        from p2pnode.cli.main import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:
        return 130


def _open_standard_streams() -> None:
    """Streams that the caller closed (`>&-`) lead nowhere: the next file that is opened would else take their number."""
    if sys.stdin is not None and sys.stdout is not None and sys.stderr is not None:
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < STANDARD_STREAMS:
        pass
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  (it lives as long as the process)


if __name__ == "__main__":
    sys.exit(main())
