"""How the internet reaches this node: ports that a router forwards, what others find when they dial back, and what changes.

`outside` joins it for `net.network`; `natpmp`, `upnp_text`, `dialback_messages` and `voices` are pure.
"""
