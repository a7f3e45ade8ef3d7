"""What a newcomer's slips are answered with: each says what was wrong, and a command that helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from p2pnode.config import Home, Settings
from p2pnode.daemon import open_node
from p2pnode.errors import P2pnodeError
from p2pnode.services.api import methods
from tests.support.daemons import LOOPBACK

pytestmark = [pytest.mark.trio, pytest.mark.network]


async def test_slips_about_circles_works_and_proposals(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.path.mkdir()
    (tmp_path / "book").write_text("bees")
    settings = Settings(listen=(LOOPBACK,), lan=False, map_ports=False)
    async with open_node(home, settings, lambda name, data: None, trio.Event()) as node:
        calls = methods(node)

        async def ask(method: str, **params: Any) -> dict[str, Any]:
            return await calls[method](params, lambda name, data: None)

        async def refused(method: str, **params: Any) -> str:
            with pytest.raises(P2pnodeError) as error:
                await ask(method, **params)
            return f"{error.value.message} / {error.value.hint}"

        circle = (await ask("circle.create", name="Readers"))["circle"]
        told = await ask("work.publish", path=str(tmp_path / "book"), title="Bees", circle=circle)
        work, question = told["work"], told["proposal"]

        for hours in (-1, 0, 0.01, 9999):
            assert "an invite holds from 10 minutes to 365 days / in hours: from 0.17 to 8760" in await refused(
                "circle.invite", circle=circle, hours=hours
            )
        assert "you are in that circle already" in await refused("circle.join", invite=circle)
        unknown = await refused("circle.join", invite="c-" + "a" * 52)
        assert "no fork" in unknown and "joined with an invite" in unknown
        link = (await ask("circle.invite", circle=circle))["invite"]
        assert "damaged: it was cut short, or changed on its way" in await refused("circle.join", invite=link[:-5])

        assert "'foo' is neither a work nor a proposal" in await refused("verdict.explain", id="foo")
        assert "p2pnode search" in await refused("work.show", work="Bees")
        flag = {"class": "flag", "circle": circle, "work": work, "complaint": "licence", "reason": "so"}
        assert "'foo' is neither a work nor an address" in await refused("proposal.open", **flag, evidence=["foo"])

        await ask("ballot.cast", proposal=question, choice="approve")
        edit = {"class": "edit", "circle": circle, "work": work, "reason": "so"}
        assert f"p2pnode history {work} --circle {circle}" in await refused(
            "proposal.open", **edit, fields={"title": "Bees"}
        )
