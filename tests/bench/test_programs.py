"""The bench's own programs: the upstream speaks as the vendors' SDKs expect, and the load generator misses nothing."""

import json
import subprocess
from pathlib import Path

import anthropic
import openai
import pytest

from tests.bench.live import Upstream
from tests.bench.measures import Asked, Burst, run_calls
from tests.bench.native import NoCompiler, Programs, compile_programs
from tests.bench.payloads import FLOOD, PLAIN, Payload, encode_body
from tests.bench.rounds import MEMORY_CALLS

QUESTION = [{"role": "user", "content": "Go on. [[bench chunks=3 gap_us=100 spread=1]]"}]


@pytest.mark.parametrize(
    ("numbers", "summary"),
    [
        (range(100, 0, -1), {"n": 100, "p50": 50.0, "p99": 99.0, "max": 100.0}),
        ([7, 1, 3], {"n": 3, "p50": 3.0, "p99": 7.0, "max": 7.0}),
        ([5], {"n": 1, "p50": 5.0, "p99": 5.0, "max": 5.0}),
        ([], {"n": 0}),
    ],
)
def test_percentiles_are_taken_by_nearest_rank(
    programs: Programs, numbers: list[int], summary: dict[str, float]
) -> None:
    text = " ".join(map(str, numbers))
    told = subprocess.run([programs.load, "-q"], input=text, capture_output=True, text=True, check=True).stdout
    assert json.loads(told)["summary"] == summary


def test_the_upstream_answers_the_openai_sdk(upstream: Upstream) -> None:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{upstream.port}/v1", api_key="sk-test") as client:
        plain = client.chat.completions.create(model="m", messages=QUESTION)
        chunks = list(client.chat.completions.create(model="m", messages=QUESTION, stream=True))
    assert plain.choices[0].message.content
    assert plain.usage is not None
    assert plain.usage.completion_tokens == 120
    texts = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(texts) == 3
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3
    assert upstream.counts() == {"openai": 2, "anthropic": 0}


def test_the_upstream_answers_the_anthropic_sdk(upstream: Upstream) -> None:
    with anthropic.Anthropic(base_url=f"http://127.0.0.1:{upstream.port}", api_key="sk-test") as client:
        plain = client.messages.create(model="m", messages=QUESTION, max_tokens=10)
        with client.messages.stream(model="m", messages=QUESTION, max_tokens=10) as stream:
            texts = list(stream.text_stream)
            final = stream.get_final_message()
    assert plain.content[0].text
    assert plain.usage.output_tokens == 120
    assert len(texts) == 3
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 3)
    assert upstream.counts() == {"openai": 0, "anthropic": 2}


@pytest.mark.parametrize("payload", [PLAIN, FLOOD])
def test_every_call_is_answered_and_counted(
    programs: Programs, upstream: Upstream, tmp_path: Path, payload: Payload
) -> None:
    body = tmp_path / "body.json"
    body.write_bytes(encode_body(payload, "m"))
    load = run_calls(programs.load, upstream.port, Asked(body, {}), Burst("test", payload, 4, 0.0), calls=40)
    assert (load.calls, load.errors, load.latency_us.n) == (40, 0, 40)
    assert load.chunk_age_us.n == 40 * payload.chunks
    assert upstream.counts()["openai"] == 40


def test_a_stream_that_lacks_a_chunk_is_an_error(programs: Programs, upstream: Upstream, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_bytes(encode_body(Payload("short", 2_000, chunks=49), "m"))
    load = run_calls(programs.load, upstream.port, Asked(body, {}), Burst("test", FLOOD, 1, 0.0), calls=1)
    assert (load.calls, load.errors) == (0, 1)
    assert "incomplete" in load.first_error


def test_a_server_that_is_not_there_is_an_error(programs: Programs, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_bytes(encode_body(PLAIN, "m"))
    load = run_calls(programs.load, 1, Asked(body, {}), MEMORY_CALLS, calls=3)
    assert (load.calls, load.errors, load.first_error) == (0, 3, "cannot connect (status 0)")


def test_without_a_compiler_the_bench_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoCompiler, match="apt-get install"):
        compile_programs(tmp_path / "cache")
