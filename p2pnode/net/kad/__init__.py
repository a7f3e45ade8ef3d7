"""A Kademlia of our own on libp2p's wire format: libp2p 0.8.1 ignores its protocol prefix, rate-limits providers silently,
believes its cache for a day and keeps dead peers (see docs). We ask FIND_NODE, ADD_PROVIDER, GET_PROVIDERS and PING; values are not kept.
"""
