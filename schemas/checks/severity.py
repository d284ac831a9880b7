"""How much a finding weighs: an error for customer-facing and regulated use cases is a warning for the others."""

from schemas.problems import Severity
from schemas.rules.use_case import UseCase

STRICT_CLASSES = frozenset({"customer-facing", "regulated"})


def severity_for(use_case: UseCase) -> Severity:
    return "error" if use_case.kind in STRICT_CLASSES else "warning"
