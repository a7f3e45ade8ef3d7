"""kill -9 at any instant: what was committed is there, what was not leaves no trace, and nothing wrong is ever served.

A child process works on a store and says on its stdout what it has committed; it is killed at a random moment, the store is opened
again and asked. The seed is printed, and can be given in P2PNODE_CRASH_SEED.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from p2pnode.core.ids import NO_CIRCLE
from p2pnode.store import incoming as incoming_module
from tests.store.samples import NOW, Tree, bytes_of, digest, key, record, tree
from tests.store.test_opening import opened

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")

KILLS = 4
SEED = int(os.environ.get("P2PNODE_CRASH_SEED", random.SystemRandom().randrange(1 << 30)))


def big_tree() -> Tree:
    """Twelve files of several large leaves and one small one, and thirty small files."""
    large = {f"large/{n}": bytes_of(310_000, n) for n in range(12)}
    return tree({**large, **{f"small/{n % 7}/{n}": bytes_of(500, ("s", n)) for n in range(30)}})


async def write_for_ever(home: Path) -> None:
    """Durable transactions without end: a number, a record and a sequence number each; says the number after the commit."""
    async with opened(home) as store:
        first = int((await store.read(lambda tx: tx.get_meta("n"))) or b"0") + 1
        for n in range(first, 1 << 30):

            def step(tx, n=n):  # type: ignore[no-untyped-def]
                tx.put_record(record(created=n), own=True)
                tx.set_meta("n", b"%d" % n)
                tx.put_record(record("vouch", created=n), own=True)
                return tx.next_seq(key("me"), NOW)[0]

            seq = await store.write(step)
            print(n, seq, flush=True)


async def fetch_for_ever(home: Path) -> None:
    """Fetch, finish, forget, again; says each step after it is done."""
    incoming_module.CHECKPOINT_BYTES = 700_000
    wanted = big_tree()
    async with opened(home) as store:
        while True:
            incoming = await store.start_incoming(wanted.root, "Big", wanted.blocks, wanted.files)
            print("begun", flush=True)
            for cid in incoming.missing:
                await incoming.put_leaf(cid, wanted.leaves[cid])
            await incoming.checkpoint()
            print("saved", flush=True)
            await incoming.finish()
            print("finished", flush=True)
            await store.write(lambda tx: tx.forget_content(wanted.root))
            print("forgotten", flush=True)


def run_and_kill(work: str, home: Path, after_lines: int, delay_s: float) -> list[str]:
    """Start a child, let it say some lines, wait a moment more, kill -9. Everything it said."""
    code = f"import sys, trio; from pathlib import Path; from tests.store import test_crash as t; trio.run(t.{work}, Path(sys.argv[1]))"
    child = subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    lines = []
    for _ in range(after_lines):
        lines.append(child.stdout.readline())
        assert lines[-1], "the child ended by itself"
    with suppress(subprocess.TimeoutExpired):
        child.wait(delay_s)
    assert child.poll() is None, "the child ended by itself"
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate(timeout=30)
    return [line.strip() for line in (*lines, *rest.splitlines()) if line.endswith("\n") or line.strip()]


def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    print(f"P2PNODE_CRASH_SEED={SEED}")
    rng = random.Random(SEED)
    last_seq = -1
    for _ in range(KILLS):
        said = run_and_kill("write_for_ever", tmp_path, rng.randrange(1, 40), rng.random() * 0.05)
        n, seq = map(int, said[-1].split())
        assert seq > last_seq

        async def look(n: int = n, seq: int = seq) -> int:
            async with opened(tmp_path) as store:
                held = int(await store.read(lambda tx: tx.get_meta("n")) or b"0")
                assert held in (n, n + 1)  # one more may have been committed and not said
                records = await store.read(lambda tx: tx.records(NO_CIRCLE))
                assert [r.created for r in records if r.kind == "ballot"] == list(range(1, held + 1))
                assert [r.created for r in records if r.kind == "vouch"] == list(range(1, held + 1))
                fresh = (await store.write(lambda tx: tx.next_seq(key("me"), NOW)))[0]
                assert fresh > seq
                return fresh

        last_seq = trio.run(look)


def test_a_killed_fetch_loses_little_and_serves_nothing_wrong(tmp_path: Path) -> None:
    print(f"P2PNODE_CRASH_SEED={SEED}")
    rng = random.Random(SEED)
    wanted = big_tree()
    for _ in range(KILLS):
        said = run_and_kill("fetch_for_ever", tmp_path, rng.randrange(1, 9), rng.random() * 0.1)
        trio.run(check_after_kill, tmp_path, wanted, said[-1])


async def check_after_kill(home: Path, wanted: Tree, last: str) -> None:
    async with opened(home) as store:
        content = await store.read(lambda tx: tx.content(wanted.root))
        state = content.state if content else None
        # the step after the last one said may have been committed as well
        assert state in {"begun": {"partial"}, "saved": {"partial", "complete"}}.get(
            last, {"complete", "partial", None}
        )
        held = await store.read(lambda tx: tx.has(wanted.leaves))
        if last == "saved" or state == "complete":
            assert held == set(wanted.leaves)
        for cid in held:
            assert await store.read_block(cid) == wanted.leaves[cid]
        names = os.listdir(home / "library")
        assert len(names) in {None: (0,), "complete": (1,), "partial": (0, 1)}[state], (
            names
        )  # 0: killed before its folder
        incoming = await store.start_incoming(wanted.root, "Big", wanted.blocks, wanted.files)
        assert held.isdisjoint(incoming.missing)
        for cid in incoming.missing:
            await incoming.put_leaf(cid, wanted.leaves[cid])
        done = await incoming.finish()
        check_files(Path(done.base), wanted)
        assert await store.read(lambda tx: tx.stored_bytes()) == expected_bytes(wanted)
        await store.write(lambda tx: tx.forget_content(wanted.root))
        assert (os.listdir(home / "library"), await store.read(lambda tx: tx.stored_bytes())) == ([], 0)


def check_files(base: Path, wanted: Tree) -> None:
    found = {str(path.relative_to(base)): path.read_bytes() for path in base.rglob("*") if path.is_file()}
    assert {name: digest(data) for name, data in found.items()} == {n: digest(d) for n, d in wanted.contents.items()}


def expected_bytes(wanted: Tree) -> int:
    small = {cid: data for cid, data in wanted.leaves.items() if len(data) <= 1 << 16}
    return wanted.size + len(wanted.node) + sum(map(len, small.values()))


FINISHING = ["write", "rename", "settle"]


@pytest.mark.parametrize("step", FINISHING)
def test_each_gap_of_finishing_can_be_crossed(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if killed right before each step of the end: the next opening takes it up."""
    wanted = tree({"a": bytes_of(200_000), "b": b"small"})

    class Killed(BaseException):
        pass

    def killed(*arguments: object, **named: object) -> None:
        raise Killed

    async def until_killed() -> None:
        async with opened(tmp_path) as store:
            incoming = await store.start_incoming(wanted.root, "T", wanted.blocks, wanted.files)
            for cid in incoming.missing:
                await incoming.put_leaf(cid, wanted.leaves[cid])
            target = {
                "write": (incoming_module, "note_final"),
                "rename": (store._area, "rename"),
                "settle": (incoming_module, "settle"),
            }[step]
            monkeypatch.setattr(*target, killed)
            with pytest.raises(Killed):
                await incoming.finish()
            monkeypatch.undo()

    async def afterwards() -> None:
        async with opened(tmp_path) as store:
            content = await store.read(lambda tx: tx.content(wanted.root))
            assert content is not None
            assert content.state == ("complete" if step == "settle" else "partial")
            assert await store.read(lambda tx: tx.has(wanted.leaves)) == set(wanted.leaves)
            done = await (await store.start_incoming(wanted.root, "T", wanted.blocks, wanted.files)).finish()
            check_files(Path(done.base), wanted)
            assert os.listdir(tmp_path / "library") == ["T"]

    trio.run(until_killed)
    trio.run(afterwards)


def test_files_of_a_forgotten_work_go_at_the_next_opening_if_they_could_not_before(tmp_path: Path) -> None:
    wanted = tree({"a": bytes_of(200_000)})

    async def forget() -> None:
        async with opened(tmp_path) as store:
            incoming = await store.start_incoming(wanted.root, "T", wanted.blocks, wanted.files)
            for cid in incoming.missing:
                await incoming.put_leaf(cid, wanted.leaves[cid])
            await incoming.finish()
            with trio.CancelScope() as scope:  # the transaction that began is finished, what follows is not
                await store.write(lambda tx: (trio.from_thread.run_sync(scope.cancel), tx.forget_content(wanted.root)))
            assert scope.cancelled_caught

    async def reopen() -> None:
        async with opened(tmp_path):
            pass

    trio.run(forget)
    assert os.listdir(tmp_path / "library") == ["T"]
    trio.run(reopen)
    assert os.listdir(tmp_path / "library") == []


def test_files_that_wait_for_unlinking_never_take_a_new_work_of_the_same_name_with_them(tmp_path: Path) -> None:
    wanted = tree({"a": bytes_of(200_000), "b/c": b"small"})

    async def fetch_over_old_trash() -> None:
        async with opened(tmp_path) as store:
            paths = [b"T", b"T/a", b"T/b/c", b"Tx"]  # unlinked, and then killed before the rows went
            await store.engine.write(lambda db: db.executemany("INSERT INTO trash VALUES (?)", [(p,) for p in paths]))
            incoming = await store.start_incoming(wanted.root, "T", wanted.blocks, wanted.files)
            for cid in incoming.missing:
                await incoming.put_leaf(cid, wanted.leaves[cid])
            await incoming.finish()
            assert await store.engine.read(lambda db: db.execute("SELECT path FROM trash").fetchall()) == [(b"Tx",)]

    async def reopen() -> None:
        async with opened(tmp_path):
            check_files(tmp_path / "library" / "T", wanted)

    trio.run(fetch_over_old_trash)
    trio.run(reopen)
