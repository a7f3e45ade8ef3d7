"""Which records this version makes use of. A well-signed record of a later version is kept and synced all the same, and left alone.

Stands above the codec of records and the values read from them, so that neither needs to know the other. Called by the tally, the
catalogue and search.
"""

from __future__ import annotations

from p2pnode.core.charter import Charter
from p2pnode.core.manifest import Manifest
from p2pnode.core.record import CHARTER, MANIFEST, PROPOSAL, Record
from p2pnode.core.records import KINDS, PROPOSAL_CLASSES, VERSION
from p2pnode.errors import DecodeError


def is_understood(record: Record) -> bool:
    """Whether the tally and the catalogue may use it: version 1, a kind and a class that we know, fields that make sense."""
    if record.fields["v"] != VERSION or record.kind not in KINDS:
        return False
    if record.kind == PROPOSAL:
        return record.fields["class"] in PROPOSAL_CLASSES
    try:
        if record.kind == CHARTER:
            Charter.of(record)
        elif record.kind == MANIFEST:
            Manifest.of(record)
    except DecodeError:
        return False
    return True
