"""Contents in stores without files: what a provider holds in a test, and what a fetcher got."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from p2pnode.core.cid import Cid
from p2pnode.ports import Store, Tx
from tests.support.dags import Dag, Tree


async def hold(store: Store, dag: Dag, *, public: bool = True, only: Iterable[Cid] | None = None) -> None:
    """Make the store hold this DAG as a complete content, all as rows; `only` these of its leaves (a provider with gaps)."""
    leaves = dag.leaves if only is None else {cid: dag.leaves[cid] for cid in only}

    def put(tx: Tx) -> None:
        content = tx.begin_content("/nowhere", owned=False, public=public)
        tx.add_blocks(content, [*dag.interior.items(), *leaves.items()])
        tx.complete_content(content, dag.root, size=sum(map(len, leaves.values())), files=1)

    await store.write(put)


def flat(tree: Tree | bytes | None, path: str = "") -> dict[str, bytes]:
    """Files of a tree by relative path."""
    if isinstance(tree, bytes):
        return {path: tree}
    if tree is None:
        return {}
    out: dict[str, bytes] = {}
    for name, child in tree.items():
        out |= flat(child, f"{path}/{name}" if path else name)
    return out


def many_files(count: int, size: int = 700) -> Mapping[str, bytes]:
    """Files that all differ."""
    return {f"file {number:04}": (b"%d " % number * size)[:size] for number in range(count)}
