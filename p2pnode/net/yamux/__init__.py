"""Our Yamux: many streams over one connection, with every limit enforced on both sides.

`frames`, `window` and `engine` are the protocol and do no I/O; `connection` and `stream` put trio and libp2p's interfaces around
it. `net.hardening.muxer` puts `connection.Yamux` in the place of libp2p's; nobody else imports this package.
"""
