"""`python -m tests.licences`: writes `.ci/licences.md`, what runs beside our own code and under which licence.

All that the sidecar, the controller and their extras bring, as installed here; what only tests and tools need is no
part of what is shipped.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

PAGE: Final = Path(__file__).parents[1] / ".ci" / "licences.md"
PARTS: Final = (
    "", "rules", "signed", "aws", "azure", "google", "tokens", "prices", "redis", "otel", "controller", "postgres",
    "parquet", "inspect-logs",
)  # fmt: skip
"""The sidecar alone, and every extra that an image may carry."""
HEAD: Final = """\
# Licences

What is shipped beside our own code, by the first part that brings it; made by `python -m tests.licences`, and held to
what is installed by `tests/test_licences.py`. Nothing here asks that our own code be published.

| package | licence | comes with |
| --- | --- | --- |
"""
ALLOWED: Final = frozenset(
    {
        "MIT", "MIT-0", "MIT License", "BSD", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "3-Clause BSD License",
        "Zlib", "CC0-1.0", "ISC", "Apache-2.0", "Apache 2.0", "Apache License 2.0", "PSF-2.0",
        "Dual License",  # python-dateutil: Apache-2.0 or BSD-3-Clause
        "MPL-2.0", "LGPL-3.0-only",  # certifi, psycopg: used as they are, and replaceable
    }
)  # fmt: skip


def licence_of(package: Distribution) -> str:
    """As its own metadata say: the expression, a short name, or the classifiers (core metadata 2.4)."""
    said = package.metadata
    if expression := said.get("License-Expression"):
        return str(expression)
    lines = [line for line in said.get_all("Classifier", []) if line.startswith("License :: ")]
    named = [line.rpartition(" :: ")[2].removesuffix(" License") for line in lines if not line.endswith("Approved")]
    short = (said.get("License") or "").strip()
    return short if short and len(short) < 40 and "\n" not in short else " OR ".join(named) or "unknown"


def shipped() -> Mapping[str, tuple[str, str]]:
    """Package to its licence and the part that brings it first."""
    found: dict[str, tuple[str, str]] = {}
    for part in PARTS:
        for name in _brought_by("pointsman", part, set()):
            if name not in found:
                found[name] = (licence_of(distribution(name)), part or "the sidecar")
    return dict(sorted(found.items()))


def page() -> str:
    return HEAD + "".join(f"| {name} | {licence} | {part} |\n" for name, (licence, part) in shipped().items())


def _brought_by(package: str, extra: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    if (package, extra) in seen:
        return
    seen.add((package, extra))
    try:
        lines = distribution(package).requires or []
    except PackageNotFoundError:  # for another machine or Python
        return
    for line in lines:
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate({"extra": extra}):
            continue
        if needed.marker is not None and extra == "" and "extra ==" in str(needed.marker):
            continue
        name = re.sub(r"[-_.]+", "-", needed.name).lower()
        if name != "pointsman":
            yield name
        for inner in ("", *needed.extras):
            yield from _brought_by(name, inner, seen)


if __name__ == "__main__":
    sys.exit(PAGE.write_text(page(), encoding="utf-8") and 0)
