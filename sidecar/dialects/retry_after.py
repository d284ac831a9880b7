"""How long a provider asks us to wait, in every form it is said in. There is no clock here: a date counts from the
answer's own Date header.
"""

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait; None where the answer does not say, or says what cannot be read.

    `retry-after-ms` (the more exact one, which the vendors' own SDKs prefer) goes before `retry-after`, which holds
    seconds or an HTTP date (RFC 9110, section 10.2.3).

    Args:
        headers: of the answer, with lower-case names.
    """
    milliseconds = _amount(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    seconds = _amount(headers.get("retry-after"))
    return seconds if seconds is not None else _until(headers.get("retry-after"), headers.get("date"))


def _amount(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        amount = float(text)
    except ValueError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def _until(when: str | None, now: str | None) -> float | None:
    if when is None or now is None:
        return None
    try:
        return max(0.0, (parsedate_to_datetime(when) - parsedate_to_datetime(now)).total_seconds())
    except (ValueError, TypeError, OverflowError):  # no date; or one of the two without a time zone
        return None
