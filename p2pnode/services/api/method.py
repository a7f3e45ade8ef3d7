"""The shape of every method of the control socket; the files beside this one hold the methods, `p2pnode.services.api` their table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from p2pnode.ports import Emit, Json
from p2pnode.services.node import Node
from p2pnode.services.params import Params

ApiMethod = Callable[[Node, Params, Emit], Awaitable[Json]]
