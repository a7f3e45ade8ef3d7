"""The composition root of `p2pnode backup` and `p2pnode restore`: the whole home in one file, and back.

A backup is made beside a running daemon or without one: a snapshot of the database first, then the works it knows, which are never written
again. Replaces the command line's process, because that knows no store. Secrets go in sealed, or as they are when asked for, or not at
all. What it did goes to stdout, as text or one JSON object; errors as the command line's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from p2pnode import __version__
from p2pnode.config import Home, find_home, load_settings
from p2pnode.core.text import safe
from p2pnode.errors import NotFoundError, P2pnodeError, RefusedError, StoreError, UsageError
from p2pnode.local.archive import ArchiveWriter, creating_archive
from p2pnode.local.identity import check_identity, is_sealed, load_or_create_host_key, open_identity, sealed_file
from p2pnode.restore import restore
from p2pnode.store.snapshot import copy_database, kept_paths

PASSPHRASE_VARIABLE = "P2PNODE_BACKUP_PASSPHRASE"
IDENTITY, SEALED_IDENTITY, HOST = "identity.key", "identity.key.sealed", "host.key.sealed"
TELL_EVERY_S = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Make or restore a backup. The exit status."""
    options = _parse(arguments)
    os.umask(0o077)
    passphrase = os.environ.get(PASSPHRASE_VARIABLE) or None
    try:
        home = find_home(options.home)
        if options.action == "backup":
            answer = back_up(home, _target(options), options.content, options.identity, passphrase, _teller())
        else:
            answer = restore(home, options.file, options.library, passphrase, check=options.check, on_bytes=_teller())
    except P2pnodeError as error:
        return _failed(error, as_json=options.json)
    except OSError as error:
        return _failed(StoreError(f"{error.filename or 'the disk'}: {error.strerror or error}"), as_json=options.json)
    print(json.dumps(answer) if options.json else "\n".join(_lines(options.action, answer)))
    return 0


def back_up(
    home: Home, target: str, content: bool, identity: str, passphrase: str | None, on_bytes: Callable[[int], None]
) -> dict[str, Any]:
    """Write a backup of a home to `target`. `identity`: sealed (needs a passphrase unless it is sealed already), plain or none."""
    library = load_settings(home).library or str(home.library)
    if content and not os.path.isdir(library):
        raise NotFoundError(
            f"the library {library} is not there", hint="mount its disk, or leave works out: --no-content"
        )
    secrets = _secrets(home, identity, passphrase)
    left_out: list[str] = []
    copy = f"{os.path.dirname(target)}/.{os.path.basename(target)}.{os.getpid()}.partial.db"
    about = {
        "program": __version__,
        "made": round(time.time(), 3),
        "content": content,
        "identity": "none"
        if identity == "none"
        else ("plain" if IDENTITY in secrets and not _is_sealed(home) else "sealed"),
    }
    try:
        with creating_archive(target, about, on_bytes) as archive:
            copy_database(str(home.database), copy)
            if home.config.exists():
                archive.add_file("config.toml", str(home.config))
            for name, data in secrets.items():
                archive.add_bytes(name, data)
            archive.add_file("node.db", copy)
            works = 0
            for path in kept_paths(copy) if content else ():
                if _add_work(archive, library, path):
                    works += 1
                else:
                    left_out.append(path)  # it was let go since the snapshot
    finally:
        with suppress(OSError):
            os.unlink(copy)
    return {
        "path": target,
        "bytes": os.path.getsize(target),
        "content": content,
        "identity": about["identity"],
        "works": works,
        "left_out": left_out,
    }


def _secrets(home: Home, identity: str, passphrase: str | None) -> dict[str, bytes]:
    """Members that hold keys. UsageError when they should be sealed and there is nothing to seal them with."""
    if identity == "none" or not home.identity.exists():
        return {}
    check_identity(home.identity)  # a backup of a damaged key would be found out on the day it is needed
    if _is_sealed(home) or identity == "plain":
        data = home.identity.read_bytes()
        return {IDENTITY: data} | (
            {HOST: sealed_file(load_or_create_host_key(home.host_key), passphrase)} if passphrase else {}
        )
    if passphrase is None:
        raise UsageError(
            "the backup would hold your identity, and no passphrase was given to lock it",
            hint=f"give one on a terminal or in {PASSPHRASE_VARIABLE}, or --no-identity, or --unlocked",
        )
    return {
        SEALED_IDENTITY: sealed_file(open_identity(home.identity).seed, passphrase),
        HOST: sealed_file(load_or_create_host_key(home.host_key), passphrase),
    }


def _is_sealed(home: Home) -> bool:
    return is_sealed(home.identity)


def _add_work(archive: ArchiveWriter, library: str, path: str) -> bool:
    """One content: a file, or a folder with all below it. False if nothing of it is there."""
    base = os.path.join(library, path)
    if not os.path.isdir(base):
        return archive.add_file(f"library/{path}", base)
    archive.add_folder(f"library/{path}")
    for name, is_folder in _below(base):
        member = f"library/{path}/{name}"
        if is_folder:
            archive.add_folder(member)
        elif not archive.add_file(member, os.path.join(base, name)):
            raise RefusedError(f"{path} was let go while it was read", hint="make the backup again")
    return True


def _below(base: str) -> Iterator[tuple[str, bool]]:
    for folder, folders, files in os.walk(base):
        inner = os.path.relpath(folder, base)
        prefix = "" if inner == "." else inner.replace(os.sep, "/") + "/"
        yield from ((prefix + name, True) for name in sorted(folders))
        yield from ((prefix + name, False) for name in sorted(files))


def _target(options: argparse.Namespace) -> str:
    if options.to:
        stamp = time.strftime("%Y-%m-%d-%H%M%S")
        return os.path.join(os.path.abspath(options.to), f"p2pnode-{stamp}.backup")
    return os.path.abspath(str(options.file))


def _teller() -> Callable[[int], None]:
    """Says on a terminal how far it is, now and then."""
    done, told = 0, time.monotonic()

    def tell(count: int) -> None:
        nonlocal done, told
        done += count
        if sys.stderr.isatty() and time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            print(f"\r{done / 1e6:,.0f} MB", end="", file=sys.stderr, flush=True)

    return tell


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="p2pnode")
    parser.add_argument("action", choices=("backup", "restore"))
    parser.add_argument("--home")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--file")
    parser.add_argument("--to")
    parser.add_argument("--no-content", dest="content", action="store_false")
    parser.add_argument("--identity", choices=("sealed", "plain", "none"), default="sealed")
    parser.add_argument("--library")
    parser.add_argument("--check", action="store_true")
    return parser.parse_args(arguments)


def _lines(action: str, answer: dict[str, Any]) -> list[str]:
    if action == "backup":
        works = f"{answer['works']} works of the library" if answer["content"] else "no works"
        keys = {"none": "no identity", "plain": "your identity, not locked", "sealed": "your identity, locked"}
        lines = [f"{safe(answer['path'])}: records and settings, {works}, {keys[answer['identity']]}."]
        return lines + [f"Left out, because it was let go meanwhile: {safe(path)}" for path in answer["left_out"]]
    if not answer["restored"]:
        return ["The backup is whole."]
    lines = [f"Restored to {safe(answer['path'])}."]
    if answer["works_missing"]:
        lines.append(f"{answer['works_missing']} works are not in it; p2pnode get brings each again.")
    if answer["library_was"]:
        lines.append(f"Its library was {safe(answer['library_was'])}; the works lie in {safe(answer['library'])} now.")
    if not answer["identity"]:
        lines.append(
            "It holds no identity: p2pnode identity restore, before the first start, brings yours from its 24 words."
        )
    if not answer["host_key"]:
        lines.append("The node gets a new peer ID at its first start.")
    return lines


def _failed(error: P2pnodeError, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"code": error.code, "message": error.message, "hint": error.hint}), file=sys.stderr)
    else:
        print(f"p2pnode: {safe(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"  {safe(error.hint)}", file=sys.stderr)
    return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
