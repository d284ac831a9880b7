"""The last calls of this sidecar, for `GET /pointsman/calls/<id>`: metadata only, bounded."""

from collections import OrderedDict

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
