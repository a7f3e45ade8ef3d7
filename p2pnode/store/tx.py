"""One transaction, as ports.Tx has it: its parts stand in tx_records, tx_works, tx_content, tx_publishing,
tx_damage, tx_keeping and tx_small.

Made for each transaction by `store.node_store` and valid only inside it.
"""

from __future__ import annotations

from p2pnode.store.tx_damage import DamageRows
from p2pnode.store.tx_keeping import KeepingRows
from p2pnode.store.tx_publishing import PublishRows
from p2pnode.store.tx_records import RecordRows
from p2pnode.store.tx_small import SmallRows
from p2pnode.store.tx_works import WorkRows


class SqliteTx(RecordRows, WorkRows, PublishRows, DamageRows, KeepingRows, SmallRows):
    """Everything that one transaction can do."""
