"""The control socket: one JSON object a line; one sans-IO codec for the trio server, the blocking and the asyncio client."""
