"""Write tests/vectors/cut.json: forks with what they inherit, whole, incomplete and void.

Run it after a change of the protocol: `.venv/bin/python -m tests.core.make_cut_vectors`; a second run changes nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from p2pnode.core.ids import KEY_PREFIX, id_text
from p2pnode.core.records import encode_signed
from tests.core import forks
from tests.core.circles import DAY

PLACE = Path(__file__).parents[1] / "vectors" / "cut.json"


def vectors() -> dict[str, Any]:
    whole = forks.honest(forks.parent())
    cases = {"a whole cut": whole, "a part is missing": forks.Fork(whole.genesis, whole.carriers[:1])}
    cases |= {"the index is missing": forks.Fork(whole.genesis, whole.carriers[1:])}
    cases |= {name: make(forks.parent()) for name, make in forks.HOSTILE.items()}
    return {"day": DAY, "cases": [_case(name, fork) for name, fork in cases.items()]}


def _case(name: str, fork: forks.Fork) -> dict[str, Any]:
    view = fork.view()
    return {
        "name": name,
        "records": [encode_signed(record).hex() for record in fork.records],
        "state": view.inheritance.state,
        "members": [id_text(KEY_PREFIX, key) for key in view.members],
        "verdict": view.work_verdict(forks.WORK).verdict,
    }


def render() -> str:
    return json.dumps(vectors(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    PLACE.write_text(render(), encoding="utf-8")
