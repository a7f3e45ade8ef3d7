"""What each action of the table does, under the action's id. The app calls these in a worker, with what was selected then.

A deed raises P2pnodeError and the app shows it. Everything that is signed goes through a form; only what is hard to undo or affects
others (leaving a circle, stopping the node, taking something back) asks again.
"""

from p2pnode.tui.deeds import circles, deciding, node, works
from p2pnode.tui.deeds.base import Deed

DEEDS: dict[str, Deed] = works.DEEDS | circles.DEEDS | deciding.DEEDS | node.DEEDS
