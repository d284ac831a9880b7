"""What an answer cost, as every dialect writes it into its usage object: `cost_usd`."""

from decimal import Decimal


def encode_cost(cost_usd: Decimal) -> bytes:
    """A JSON number, exact and without an exponent: `0.000123`. The same in every dialect."""
    return format(cost_usd, "f").encode()
