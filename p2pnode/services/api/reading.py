"""Methods that carry the bytes of a work to a client while they arrive: frames of 64 KiB in base64, never more than the client granted."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import aclosing

from p2pnode.ports import Emit, Json
from p2pnode.services.api.method import ApiMethod
from p2pnode.services.credit import MAX_FRAMES, Credit
from p2pnode.services.node import Node
from p2pnode.services.params import Params
from p2pnode.services.reading import split_reference

FRAME_BYTES = 64 << 10
"""Bytes of a work in one event: 88 KB of JSON, a line that no client chokes on."""
MAX_OFFSET = 1 << 60
"""Largest offset or length: no work is that long."""


async def read(node: Node, params: Params, emit: Emit) -> Json:
    """Stream a file of a work: `work.opened`, then `work.bytes` as the client grants credit. The answer comes after the last byte."""
    reference, path = split_reference(params.text("work"))
    inside = params.optional_text("path")
    offset = int(params.number("offset", 0, least=0, most=MAX_OFFSET))
    length = int(params.number("length", MAX_OFFSET, least=0, most=MAX_OFFSET))
    params.end()
    root, work = await node.transfers.resolve(reference)
    reading = node.reading.open_file(
        root, path if inside is None else inside, work, lambda shown: emit("transfer.progress", shown)
    )
    with node.reading.credits.open() as (token, credit):
        async with reading as file:
            opened = {"read": token, "path": file.path, "bytes": file.size, "cid": str(root)}
            emit("work.opened", opened)
            async with aclosing(file.read_range(offset, length)) as parts:
                sent = await send_frames(parts, credit, emit, offset)
    return {"bytes": sent, "size": file.size}


async def send_frames(parts: AsyncIterator[bytes], credit: Credit, emit: Emit, offset: int = 0) -> int:
    """Tell bytes in frames, each as soon as there is credit for it; how many they were. `offset` is that of the first."""
    sent = 0
    async for part in parts:
        for at in range(0, len(part), FRAME_BYTES):
            await credit.take()
            frame = part[at : at + FRAME_BYTES]
            emit("work.bytes", {"offset": offset + sent, "data": base64.b64encode(frame).decode()})
            sent += len(frame)
    return sent


async def credit(node: Node, params: Params, emit: Emit) -> Json:
    """Let so many more frames of a reading come."""
    token = params.text("read")
    frames = int(params.number("frames", 1, least=1, most=MAX_FRAMES))
    params.end()
    node.reading.credits.grant(token, frames)
    return {}


METHODS: dict[str, ApiMethod] = {"work.read": read, "read.credit": credit}
