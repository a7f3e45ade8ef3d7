"""Mends of what makes libp2p slow between our muxer and the socket."""

from __future__ import annotations

from typing import Any

import trio

RECEIVE_BYTES = 256 << 10
"""Read from a socket at once: several Noise messages."""


def read_sockets_in_bulk() -> None:
    """One system call for many messages.

    Defect: every Noise message costs two calls, one of them for two bytes (`io/trio.py:62`, `io/msgio.py:44`).
    """
    from libp2p.io import trio as libp2p_trio
    from libp2p.io.exceptions import ConnectionClosedError

    async def read(self: Any, n: int | None = None) -> bytes:
        if n == 0:
            return b""
        if not self.__dict__.get("_received"):
            async with self.read_lock:  # taking a lock gives way to other tasks, so only before a system call
                try:
                    self._received = memoryview(await self.stream.receive_some(RECEIVE_BYTES))
                except trio.BrokenResourceError as error:
                    raise ConnectionClosedError(f"TCP reset: {error}", transport="tcp") from error
                except trio.ClosedResourceError:
                    return b""
        buffer = self._received
        count = len(buffer) if n is None else n
        self._received = buffer[count:] if count < len(buffer) else b""  # an empty view would keep what it looks at
        return bytes(buffer[:count])

    libp2p_trio.TrioTCPStream.read = read


def write_messages_in_bulk() -> None:
    """One system call for all Noise messages of a write.

    Defect: a write of several messages goes to the socket one by one (`security/noise/io.py:66`), each with a copy for its length,
    a lock and a turn of the event loop (`io/msgio.py:61`, `io/trio.py:41`).
    """
    from libp2p.security.noise import io as noise_io

    limit = noise_io.MAX_PLAINTEXT_LENGTH
    write_msg = noise_io.BaseNoiseMsgReadWriter.write_msg

    async def write_all(self: Any, msg: bytes, prefix_encoded: bool = False) -> None:
        if prefix_encoded or len(msg) <= limit:
            await write_msg(self, msg, prefix_encoded)
            return
        parts: list[bytes] = []
        for at in range(0, len(msg), limit):
            sealed = self.encrypt(msg[at : at + limit])
            parts += (len(sealed).to_bytes(2, "big"), sealed)
        await self.read_writer.read_write_closer.write(b"".join(parts))

    noise_io.BaseNoiseMsgReadWriter.write_msg = write_all
