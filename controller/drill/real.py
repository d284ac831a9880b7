"""An outage rehearsed by calls: each use case's own samples, asked of a sidecar with everybody there and of one with
somebody down. Both are started for it and end with it.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from controller.drill.asked import Arm, ask
from controller.drill.outage import Fault, outage
from controller.drill.paper import UseCaseOutcome, Verdict
from controller.drill.staged import with_outage, without_callers
from controller.processes import LOOK_SECONDS, Child, Children
from schemas.bundle import Bundle, encode_bundle
from schemas.eval_files import EvalSet

AGENT: Final = "outage-drill"
START_SECONDS: Final = 30.0
DEFAULT_MARGIN: Final = Decimal("0.02")
LISTENS: Final = re.compile(r"listens on (http://\S+), admin on (http://\S+)")


@dataclass(frozen=True, slots=True)
class RealOutcome:
    use_case: str
    kind: str
    """Its class."""
    fault: Fault
    usual: Arm
    down: Arm
    margin: Decimal
    """How much of its quality a use case may lose and still survive."""

    @property
    def verdict(self) -> Verdict:
        """By these calls alone. So few tell who answers from who does not; which of two models is better says a
        comparison.
        """
        if self.usual.answered and not self.down.answered:
            return "stops"
        return "degraded" if self.down.answered < self.usual.answered or self._is_worse() else "survives"

    @property
    def spent_usd(self) -> Decimal:
        """What both cost, as far as it is known."""
        return self.usual.spent_usd + self.down.spent_usd

    def _is_worse(self) -> bool:
        before, after = self.usual.quality, self.down.quality
        return before is not None and after is not None and after < before - float(self.margin)


async def rehearse_for_real(
    bundle: Bundle, down: Mapping[str, str], fault: Fault, use_cases: Sequence[UseCaseOutcome],
    eval_sets: Mapping[str, EvalSet], *, samples: int, concurrency: int, show: Callable[[str], None],
) -> list[RealOutcome]:  # fmt: skip
    """One after the other, so that the calls of one are not slowed down by those of another.

    Args:
        use_cases: those that the outage hits, by what the rules say.
        eval_sets: by use case; one without is asked a few plain questions, and not graded.

    Raises:
        ProcessFailed: a sidecar does not start.
        Stop: a sidecar takes no call, for a reason that is not the outage.
    """
    outcomes = []
    whole = without_callers(bundle)
    async with outage(fault) as url:
        with _sidecars(whole, with_outage(whole, down, url)) as (usual_url, down_url):
            for number, paper in enumerate(use_cases, start=1):
                show(f"{number} of {len(use_cases)}: {paper.use_case}")
                name, eval_set = paper.use_case, eval_sets.get(paper.use_case)
                usual, missed = [
                    await ask(one, usual_url, name, eval_set, samples, concurrency, f"{AGENT}-{name}")
                    for one in (usual_url, down_url)
                ]
                margin = None if eval_set is None else eval_set.graders.decision.margin
                outcomes.append(
                    RealOutcome(name, paper.kind, fault, usual, missed, DEFAULT_MARGIN if margin is None else margin)
                )
    return outcomes


@contextmanager
def _sidecars(*bundles: Bundle) -> Iterator[tuple[str, ...]]:
    """Their URLs; each runs its rules when they are given."""
    with TemporaryDirectory(prefix="pointsman-drill-") as folder, Children(Path(folder), Path(folder)) as children:
        started = []
        for number, bundle in enumerate(bundles):
            rules = Path(folder, f"rules-{number}.json")
            rules.write_bytes(encode_bundle(bundle))
            started.append(children.start(f"sidecar {number}", [
                "sidecar", "--rules", str(rules), "--state", str(Path(folder, f"state-{number}")),
                "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
            ]))  # fmt: skip
        urls = []
        for child in started:
            agents, admin = _addresses(child)
            children.wait_until_ready(child, f"{admin}/readyz", START_SECONDS, lambda: None)
            urls.append(agents)
        yield tuple(urls)


def _addresses(child: Child) -> tuple[str, str]:
    """Raises ProcessFailed."""
    deadline = time.monotonic() + START_SECONDS
    while (found := LISTENS.search(child.log.read_text(encoding="utf-8", errors="replace"))) is None:
        if not child.is_alive() or time.monotonic() > deadline:
            raise child.failure("does not listen")
        time.sleep(LOOK_SECONDS)
    return found[1], found[2]
