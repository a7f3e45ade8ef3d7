"""A Kademlia of our own on libp2p's wire format: libp2p 0.8.1 ignores its protocol prefix, rate-limits providers silently,
believes its cache for a day and keeps dead peers (see docs). Of values it keeps public keys only.
"""
