"""One transaction, as ports.Tx has it: its parts stand in tx_records, tx_works, tx_content and tx_small.

Made for each transaction by `store.node_store` and valid only inside it.
"""

from __future__ import annotations

from p2pnode.store.tx_content import ContentRows
from p2pnode.store.tx_records import RecordRows
from p2pnode.store.tx_small import SmallRows
from p2pnode.store.tx_works import WorkRows


class SqliteTx(RecordRows, WorkRows, ContentRows, SmallRows):
    """Everything that one transaction can do."""
