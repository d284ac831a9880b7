"""The page to try things on: where a request would go and why, and where it is allowed, what is answered. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controller.dashboard.view import Field, Form, Page, Table
from sidecar.routing.explain import Explanation, Step

PATH: Final = "/playground"
MAX_PROMPT: Final = 8000
"""Characters."""
TARGETS: Final = ("model", "provider", "why")
HELP: Final = (
    'Facts: {"input_tokens": 1200, "tools": true}. The world: {"down": ["anthropic"], "spent": {"per_day": 251}}.'
)
HOW_TO_SEND: Final = "To send prompts from here, start the controller with --playground-sidecar URL."


@dataclass(frozen=True, slots=True)
class Asked:
    use_case: str = ""
    facts: str = "{}"
    given: str = "{}"


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a prompt."""

    text: str
    headers: Mapping[str, str]
    """The sidecar's own."""


def playground_page(
    use_cases: Sequence[str], asked: Asked, *, explanation: Explanation | None = None, sent: Sent | None = None,
    may_send: bool = False, trouble: str = "",
) -> Page:  # fmt: skip
    """
    Args:
        explanation: of what was asked; None: nothing was yet, or `trouble` says why there is none.
        may_send: the operator has named a sidecar.
    """
    choose = Field("use_case", "Use case", value=asked.use_case, choices=[(name, name) for name in use_cases])
    ask = Form(
        PATH, "Where would it go?", "Explain",
        (choose, Field("facts", "Facts of the request, as JSON", value=asked.facts),
         Field("given", "The world around it, as JSON", value=asked.given)),
        help=HELP if may_send else f"{HELP} {HOW_TO_SEND}",
        needs_person=False, method="get",
    )  # fmt: skip
    send = Form(PATH, "Send a prompt", "Send", (choose, Field("prompt", "Prompt")),
                help="A real call through the operator's sidecar: it costs what such a call costs.")  # fmt: skip
    tables: list[Table] = []
    facts: list[tuple[str, str]] = []
    if explanation is not None:
        tables = [
            Table("plan", "Would be asked, in this order", TARGETS, [_row(step) for step in explanation.plan],
                  "Nobody: see who is passed over, and why."),
            Table("skipped", "Passed over", TARGETS, [_row(step) for step in explanation.skipped],
                  "No target is passed over."),
        ]  # fmt: skip
        facts = [("use case", explanation.use_case)]
        if explanation.propensity is not None:
            facts.append(
                ("the lot fell to", f"{explanation.arm}, as for {explanation.propensity:.4g} of conversations")
            )
        if explanation.refusal is not None:
            facts.append(("refused by", explanation.refusal))
    links = {}
    if sent is not None:
        tables = [Table("headers", "What the sidecar says of it", ("header", "value"), sorted(sent.headers.items()),
                        "It says nothing: is it a sidecar?")]  # fmt: skip
        call = sent.headers.get("x-pointsman-request-id")
        if call is not None:
            facts, links = [("call", call)], {"call": f"/calls/{call}"}
    return Page(
        PATH, "Playground", tables, facts=facts, fact_links=links, warnings=(trouble,) if trouble else (),
        forms=(ask, send) if may_send else (ask,), texts=() if sent is None else (("Answer", sent.text),),
    )  # fmt: skip


def _row(step: Step) -> tuple[str, ...]:
    return step.model, step.provider, step.reason
