"""The method that examines the node, and what it found last."""

from __future__ import annotations

from p2pnode.ports import Emit, Json
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.doctor import finding_json, worst
from p2pnode.services.node import Node
from p2pnode.services.params import Params


async def examine(node: Node, params: Params, emit: Emit) -> Json:
    """Findings; with `last` those of the last examination that asked peers, if there was one."""
    last, local = params.flag("last"), params.flag("local")
    params.end()
    doctor = node.doctor
    if last and doctor.last:
        findings, at = doctor.last, doctor.last_at
    else:
        findings, at = await doctor.examine(emit, ask=not (last or local)), node.clock()
    return {"items": [finding_json(finding) for finding in findings], "state": worst(findings), "at": at}


METHODS: dict[str, ApiMethod] = {"node.doctor": examine}
