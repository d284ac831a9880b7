"""The audit as a page: what rules and ledger show; code and invoices are the command's. Pure."""

from controller.audit.audit import Audit
from controller.audit.report import HEAD, passing_by, use_case_rows
from controller.audit.verdicts import WORDS
from controller.dashboard.view import Page, Table

HOW = "For code and invoices run `pointsman audit REPOSITORY … --controller URL --invoice PROVIDER=FILE`."


def audit_page(found: Audit | None, days: int, *, trouble: tuple[str, ...] = ()) -> Page:
    """
    Args:
        found: None: neither rules nor ledger can be read.
        days: of the ledger, up to today.
        trouble: what cannot be known now.
    """
    if found is None:
        return Page("/audit", "Audit", (), warnings=trouble)
    rows = [(*row, one.why) for row, one in zip(use_case_rows(found), found.use_cases, strict=True)]
    links = [f"/use-cases/{one.name}" for one in found.use_cases]
    shares = [(one.by, vendor, f"{share:.1%}") for one in found.concentration for vendor, share in one.shares.items()]
    indexes = [
        (one.by, f"{one.index:.2f}", one.level, f"{1 / one.index:.1f}") for one in found.concentration if one.index
    ]
    return Page(
        "/audit",
        "Audit",
        (
            Table("use-cases", "Use cases", (*HEAD, "why"), rows, "There are no rules, and no call is booked.", links),
            Table("concentration", "Concentration by vendor (Herfindahl-Hirschman index)",
                  ("by", "index", "level", "like so many equal vendors"), indexes, "No call is booked yet."),
            Table("shares", "Vendors' shares", ("by", "vendor", "share"), shares, "No call is booked yet."),
            Table("outside", "Outside the gateway", ("what",), [(line,) for line in passing_by(found)],
                  f"Neither rules nor ledger can show it. {HOW}"),
        ),
        facts=(("all together", WORDS[found.company]), ("ledger", f"{days} days up to today")),
        warnings=trouble,
    )  # fmt: skip
