"""A large rules repository, and how long it takes to check, to compile, and to replay calls under it.

`python -m tests.bench.rule_files` prints; nothing is asserted of time.
"""

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from controller.plan.recorded import RecordedCall
from controller.plan.replay import Replay
from controller.plan.side import Side
from controller.ruletests import rule_test_problems
from schemas.load import Loaded, load
from schemas.record import AttemptRecord, CallFacts

TODAY: Final = date(2026, 11, 24)
PROVIDERS: Final = 20
ROUNDS: Final = 3


def rule_files(use_cases: int = 1500, models: int = 300) -> dict[str, str]:
    """Whole files as teams write them: chains at several vendors, rules, ceilings, limits, and tests."""
    files = {"pointsman.yaml": "schema: 1\nowners: {platform: ['**'], team: ['use-cases/**']}\n"}
    for number in range(PROVIDERS):
        files[f"providers/p{number}.yaml"] = (
            f"provider: p{number}\ndialect: openai\nbase_url: https://p{number}.example/v1\n"
            f"auth: {{api_key: {{env: KEY_{number}}}}}\ndata: {{regions: [eu, us], zero_retention: true}}\n"
            "limits: {requests_per_minute: 4000, tokens_per_minute: 2000000, concurrency: 200}\n"
        )
    for number in range(models):
        files[f"models/m{number}.yaml"] = (
            f"model: m{number}\nvendor: v{number % 7}\ndescription: The {number}th.\ncontext_window: 200000\n"
            "max_output_tokens: 64000\ncapabilities: [tools, vision, json_schema]\nserved_by:\n"
            f"  - {{provider: p{number % PROVIDERS}, name: wire-{number}}}\n"
            f"  - {{provider: p{(number + 7) % PROVIDERS}, name: other-{number}}}\n"
            f"prices:\n  - {{from: 2026-01-01, input: {1 + number % 5}.00, output: {5 + number % 20}.00}}\n"
            "prices_checked: 2026-11-20\n"
        )
    for number in range(use_cases):
        chain = [f"m{(number * 3 + step) % models}" for step in range(4)]
        files[f"use-cases/u{number}/use-case.yaml"] = (
            f"use_case: u{number}\nowner: team\ndescription: Purpose {number}.\nclass: internal\n"
            f"primary: {chain[0]}\nfallbacks: [{chain[1]}, {chain[2]}]\nsticky: {{by: conversation}}\n"
            "requires: {capabilities: [tools], regions: [eu]}\nrules:\n"
            f"  - {{when: {{input_tokens: {{over: 100000}}}}, primary: {chain[3]}, fallbacks: [{chain[0]}]}}\n"
            "limits: {requests_per_minute: 600, tokens_per_minute: 400000}\n"
            "timeouts: {deadline: 60s, first_token: 15s, stream_idle: 20s}\n"
            "review: {last: 2026-10-01, by: 2027-01-01}\n"
        )
        files[f"use-cases/u{number}/tests.yaml"] = (
            "- name: a short question goes to the first\n  request: {input_tokens: 100}\n"
            f"  expect: {{first: {chain[0]}}}\n"
        )
    return files


def calls(number: int, use_cases: int = 1500) -> Iterator[RecordedCall]:
    """A month of calls, the same at every run."""
    draw = random.Random(1)
    began, step = datetime(2026, 10, 25, tzinfo=UTC), timedelta(days=30) / number
    for index in range(number):
        tokens = draw.randint(100, 8000)
        model = f"m{index % 300}"
        attempt = AttemptRecord(model=model, provider="p0", reason="primary", outcome="ok", seconds=1.0)
        yield RecordedCall(
            id=f"c{index}", at=(began + index * step).isoformat(timespec="milliseconds"),
            use_case=f"u{draw.randrange(use_cases)}", outcome="ok", model=model, provider="p0", reason="primary",
            conversation=f"{draw.randrange(number // 4 + 1):032x}", input_tokens=tokens, output_tokens=tokens // 10,
            attempts=(attempt,), facts=CallFacts(tokens, 1024, ("tools",)),
        )  # fmt: skip


def timed(words: str, work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The best of some rounds, in seconds."""
    best = min(_once(work) for _ in range(rounds))
    print(f"{words}: {best:.2f} s")
    return best


def _once(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    files = rule_files()
    print(f"{len(files)} files, {sum(map(len, files.values())) / 1e6:.1f} MB")
    made: list[Loaded] = []
    # Each round reads other text: what is remembered of a file is not counted.
    texts = iter(range(10**6))

    def compiled() -> None:
        mark = f"# {next(texts)}\n"
        made.append(load({name: text + mark for name, text in files.items()}, today=TODAY, revision="bench"))

    timed("compile", compiled)
    loaded = made[-1]
    assert loaded.bundle is not None, loaded.problems[:5]
    bundle = loaded.bundle

    def checked() -> None:
        compiled()
        rule_test_problems(files, bundle, today=TODAY)

    timed("check with rule tests", checked)
    recorded = list(calls(100_000))

    def replayed() -> None:
        replay = Replay(Side(bundle, TODAY.isoformat()), Side(bundle, TODAY.isoformat()))
        for call in recorded:
            replay.add(call)

    seconds = timed(f"replay of {len(recorded):,} calls", replayed, 1)
    print(f"replay: {len(recorded) / seconds:,.0f} calls a second")


if __name__ == "__main__":
    main()
