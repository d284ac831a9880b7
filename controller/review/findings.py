"""What a review looks at besides calls: comparisons and drills in `evidence/`, and the canaries of a fleet. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import Any

import msgspec

from schemas.evidence_files import MAX_AGE_DAYS


class UnreadableFinding(ValueError):
    """The message names the file."""


class _Form(msgspec.Struct, frozen=True):
    """Unknown keys are passed over: the files say more than is asked here."""

    use_case: str
    kind: str = "comparison"
    created: date | None = None
    incumbent: str = ""
    candidate: str = ""
    verdict: str = ""
    action: str = ""
    m_star: float | None = None
    cost_ratio: float | None = None
    day: date | None = msgspec.field(name="date", default=None)
    expires: date | None = None
    down: tuple[str, ...] = ()
    on: str = "paper"


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison of a candidate with the model that served."""

    file: str
    use_case: str
    incumbent: str
    candidate: str
    verdict: str
    action: str
    created: date
    m_star: float | None
    """The least margin that the data prove; None: not said."""
    cost_ratio: float | None
    """Candidate over incumbent; None: unknown."""

    @property
    def expires(self) -> date:
        return self.created + timedelta(days=MAX_AGE_DAYS)


@dataclass(frozen=True, slots=True)
class Drilled:
    """An outage that was rehearsed."""

    file: str
    use_case: str
    down: tuple[str, ...]
    verdict: str
    on: str
    """`paper`, or `sidecar`: calls were sent."""
    day: date
    expires: date


class Tried(msgspec.Struct, frozen=True):
    """A canary, as `/v1/status` tells of it."""

    use_case: str
    model: str
    primary: str
    state: str
    percent: float
    since: str
    """RFC 3339, UTC: since when it is in this state."""
    reason: str


@dataclass(frozen=True, slots=True)
class Findings:
    compared: tuple[Compared, ...] = ()
    drilled: tuple[Drilled, ...] = ()
    tried: tuple[Tried, ...] = ()
    """The newest of a use case first; none also where no controller was asked."""

    def newest_of(self, use_case: str, incumbent: str, candidate: str) -> Compared | None:
        fitting = (
            one for one in self.compared
            if (one.use_case, one.incumbent, one.candidate) == (use_case, incumbent, candidate)
        )  # fmt: skip
        return max(fitting, key=lambda one: (one.created, one.file), default=None)

    def newest_drills(self, use_case: str) -> tuple[Drilled, ...]:
        """The newest of each outage; one that was sent stands before one on paper of the same day."""
        newest: dict[tuple[str, ...], Drilled] = {}
        ordered = sorted(self.drilled, key=lambda one: (one.day, one.on == "sidecar", one.file))
        for one in ordered:
            if one.use_case == use_case:
                newest[one.down] = one
        return tuple(newest[down] for down in sorted(newest))


def parse_findings(files: Mapping[str, str]) -> Findings:
    """`files`: path in the repository → text. Raises `UnreadableFinding`."""
    compared: list[Compared] = []
    drilled: list[Drilled] = []
    for file, text in sorted(files.items()):
        found = _finding(file, text)
        if isinstance(found, Compared):
            compared.append(found)
        else:
            drilled.append(found)
    return Findings(tuple(compared), tuple(drilled))


def parse_canaries(rollout: Mapping[str, Any]) -> tuple[Tried, ...]:
    """`rollout` of `/v1/status`. Raises `UnreadableFinding`."""
    try:
        return msgspec.convert([*rollout["canaries"], *rollout["past_canaries"]], tuple[Tried, ...])
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise UnreadableFinding(f"the controller does not say how canaries stand: {error}") from error


def _finding(file: str, text: str) -> Compared | Drilled:
    try:
        said = msgspec.json.decode(text, type=_Form)
    except msgspec.DecodeError as error:
        raise UnreadableFinding(f"{file}: not a comparison or drill as `pointsman` writes it: {error}") from error
    folder = PurePosixPath(file).parts[1]
    if said.use_case != folder:
        raise UnreadableFinding(f'{file}: it speaks of "{said.use_case}", and lies with "{folder}"')
    if said.kind == "drill":
        day, expires = _said(file, "date", said.day), _said(file, "expires", said.expires)
        return Drilled(file, said.use_case, said.down, said.verdict, said.on, day, expires)
    for key in ("incumbent", "candidate", "verdict", "action"):
        _said(file, key, getattr(said, key) or None)
    created = _said(file, "created", said.created)
    return Compared(
        file, said.use_case, said.incumbent, said.candidate, said.verdict, said.action, created, said.m_star,
        said.cost_ratio,
    )  # fmt: skip


def _said(file: str, key: str, value: Any) -> Any:
    if value is None:
        raise UnreadableFinding(f'{file}: "{key}" is missing')
    return value
