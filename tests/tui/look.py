"""Run the app against the scripted node, by hand: `python -m tests.tui.look [filled|empty|broken|hostile]`. Nothing else uses it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from p2pnode.config import Home
from p2pnode.tui.app import P2pnodeApp
from tests.tui import world
from tests.tui.scripted_node import ScriptedNode

if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "filled"
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        with ScriptedNode(home, getattr(world, name)()):
            P2pnodeApp(home, clock=lambda: world.NOW, autostart=False).run()
