"""The last calls of this sidecar, for `GET /pointsman/calls/<id>` and `?agent=`: metadata only, bounded."""

from collections import OrderedDict
from collections.abc import Iterator

from schemas.record import CallRecord

KEPT = 1000


class RecentCalls:
    """A `CallObserver`."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, CallRecord] = OrderedDict()

    def observe(self, record: CallRecord) -> None:
        self._records[record.id] = record
        if len(self._records) > KEPT:
            self._records.popitem(last=False)

    def get(self, call_id: str) -> CallRecord | None:
        return self._records.get(call_id)

    def of_agent(self, agent: str) -> Iterator[CallRecord]:
        """In the order in which they ended."""
        return (record for record in self._records.values() if record.agent == agent)
