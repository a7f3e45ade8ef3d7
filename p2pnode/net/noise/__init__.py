"""Noise's transport phase, ours: what is sealed, sent, received and opened once the handshake is done.

`messages` is the framing and does no I/O; `session` puts a connection under it; `transport` is the door (`sec_opt`) that libp2p
knows: its handshake, then our session. `net.host` opens that door; nobody else imports this package. Why: decision 12.
"""
