"""Files of other tools: one eval that all of them recorded gives one verdict, and no file breaks the importer."""

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.cli import main
from controller.evals.imports.importing import SOURCES, UnclearChoice, Wishes, import_results, source_of
from controller.evals.rows import Row

FILES = Path(__file__).parents[4] / "golden/evals/imports"
OURS = "--map question=sample_id --map assistant=model --map correct=success --map price=cost_usd --map topic=slice"
CASES = {
    "inspect": ("inspect-0.3.285-{}.eval", "--metric match --model {}"),
    "promptfoo": ("promptfoo-0.123.1.json", "--metric exact"),
    "braintrust": ("braintrust-0.48.1.json", "--metric exact"),
    "braintrust, roots alone": ("braintrust-roots.csv", "--metric exact"),
    "langfuse, traces": ("langfuse-3-traces.json", "--metric exact"),
    "langfuse, observations": ("langfuse-4-observations.csv", "--metric exact"),
    "langfuse, experiment items": ("langfuse-5.0.4-experiment-items.json", "--metric correct"),
    "a table of one's own": ("table.csv", OURS),
}


def pointsman(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    try:
        status = main(["eval", *map(str, words)])
    except SystemExit as stop:
        status = int(str(stop.code))
    return status, *capsys.readouterr()


def rows_of(name: str, **wishes: Any) -> list[Row]:
    data = (FILES / name).read_bytes()
    imported = import_results(data, name, source_of(data) or "table", Wishes(**wishes))
    assert imported.results.problems == ()
    return list(imported.results.rows)


@pytest.mark.parametrize("case", CASES)
def test_the_same_eval_gives_the_same_verdict_whoever_recorded_it(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, words = CASES[case]
    arms = []
    for option, model in (("--incumbent", "large"), ("--candidate", "small")):
        out = tmp_path / f"{model}.jsonl"
        status, _, err = pointsman(
            capsys, "import", FILES / file.format(model), "--out", out, *words.format(model).split()
        )
        assert status == 0, err
        models = {json.loads(line)["model"] for line in out.read_text().splitlines()}
        (own,) = (name for name in models if name in (model, {"large": "openai:chat:gpt-4o"}.get(model)))
        arms += [option, out, f"{option}-model", own]
    accepted = ("--accept", "L8", "--min-samples", "10", "--margin", "0.1", "--format", "json")
    status, out_text, err = pointsman(capsys, "compare", *arms, *accepted)
    found = json.loads(out_text)
    assert (status, err) == (0, "")
    # Five samples are right with `large` alone, one with `small` alone.
    assert (found["n"], found["verdict"], found["action"]) == (12, "inconclusive", "keep")
    assert (found["diff"], found["mcnemar_p"]) == pytest.approx((-4 / 12, 0.21875))


def test_what_inspect_knows_is_kept() -> None:
    row = next(row for row in rows_of("inspect-0.3.285-small.eval") if row.sample_id == "sum-8-9")
    assert (row.model, row.epoch, row.status, row.success) == ("openai-api/gateway/small", 1, "length", 0.0)
    assert (row.cluster, row.slice, row.harness_version) == ("group-2", "even", "inspect_ai 0.3.285")
    # Inspect counts cached input apart from the other; a row's input includes it.
    assert (row.in_tok, row.cached_tok, row.out_tok, row.cost_usd) == (12, 4, 3, None)
    assert row.scores == {"match": 0.0, "shape.words": 6.0, "shape.digits": 0.0}


@pytest.mark.parametrize(
    ("sample", "epoch", "status", "success"),
    [
        ("fine", 1, "ok", 1.0),
        ("half", 2, "ok", 0.5),
        ("ungradable", 1, "grader_error", None),
        ("unscored", 1, "grader_error", None),
        ("slow", 2, "timeout", 0.0),
        ("chatty", 1, "length", 0.5),
    ],
)
def test_how_an_inspect_sample_ended(sample: str, epoch: int, status: str, success: float | None) -> None:
    rows = rows_of("inspect-0.3.285-edges.json")
    assert len(rows) == 12
    (row,) = (row for row in rows if (row.sample_id, row.epoch) == (sample, epoch))
    assert (row.status, row.success) == (status, success)


@pytest.mark.parametrize("file", ["promptfoo-0.123.1.json", "braintrust-0.48.1.json", "langfuse-3-traces.json"])
def test_a_call_that_failed_is_a_zero_and_costs_what_nobody_knows(file: str) -> None:
    failed = [row for row in rows_of(file, metric="exact") if row.status == "model_error"]
    assert [(row.success, row.cost_usd, row.in_tok) for row in failed] == [(0.0, None, None)]


def test_repetitions_are_told_apart() -> None:
    lines = (FILES / "promptfoo-0.123.1.jsonl").read_bytes()
    found = import_results(lines + lines, "twice.jsonl", "promptfoo", Wishes()).results.rows
    assert [(row.model, row.epoch) for row in found] == [
        ("small", 1), ("openai:chat:gpt-4o", 1), ("small", 2), ("openai:chat:gpt-4o", 2),
    ]  # fmt: skip


def test_one_provider_with_two_prompts_is_two_arms() -> None:
    first = json.loads((FILES / "promptfoo-0.123.1.jsonl").read_text().splitlines()[0])
    other = first | {"promptId": "p2", "prompt": first["prompt"] | {"label": "short"}}
    text = json.dumps(first) + "\n" + json.dumps(other)
    found = import_results(text.encode(), "two.jsonl", "promptfoo", Wishes()).results.rows
    assert [row.model for row in found] == ["small (What is {{a}} + {{b}}? Answer with the number.)", "small (short)"]


def test_wishes() -> None:
    file = "promptfoo-0.123.1.json"
    assert {row.model for row in rows_of(file, model="small")} == {"small"}
    at = {row.sample_id: row.success for row in rows_of(file, model="small", metric="score", pass_at=0.5)}
    assert (at["sum-2-3"], at["sum-8-9"], at["sum-6-7"]) == (1.0, 0.0, 0.0)
    slices = {row.slice for row in rows_of(file, columns={"vars.a": "slice"})}
    assert slices == {str(n) for n in range(1, 13)}
    assert rows_of(file, columns={"score": "scores.mine"})[0].scores["mine"] == 1.0


@pytest.mark.parametrize(
    ("file", "wishes", "words"),
    [
        ("promptfoo-0.123.1.json", Wishes(metric="exakt"), 'did you mean "exact"'),
        ("promptfoo-0.123.1.json", Wishes(model="smal"), 'did you mean "small"'),
        ("langfuse-3-traces.json", Wishes(), "choose one by --metric: correct, exact, tone"),
        ("table.csv", Wishes(columns={"question": "sample_id", "correct": "success"}), "name the model by --model"),
    ],
)
def test_a_wish_that_a_file_cannot_meet_is_answered_with_what_it_has(file: str, wishes: Wishes, words: str) -> None:
    data = (FILES / file).read_bytes()
    with pytest.raises(UnclearChoice, match=words):
        import_results(data, file, source_of(data) or "table", wishes)


@pytest.mark.parametrize("file", sorted(path.name for path in FILES.iterdir() if path.suffix != ".md"))
def test_a_file_shows_who_wrote_it(file: str) -> None:
    assert source_of((FILES / file).read_bytes()) == (None if file == "table.csv" else file.partition("-")[0])


def zipped(**members: object) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            archive.writestr(name.replace("__", "/") + ".json", json.dumps(value))
    return buffer.getvalue()


SPEC = {"eval": {"model": "m", "run_id": "r"}}


@pytest.mark.parametrize(
    ("source", "data", "words"),
    [
        ("inspect", b"PK\x03\x04 and no more", "is no zip file"),
        ("inspect", zipped(other=1), "is no log of Inspect's"),
        ("inspect", zipped(header=SPEC), "holds no samples"),
        ("inspect", zipped(header={}, samples__1={"id": 1}), "has no eval.model"),
        ("inspect", zipped(header=SPEC, samples__1=[]), "is no sample of Inspect's"),
        ("inspect", b'{"version": 2, "eval": {"model": "m"}, "samples": null}', "holds no samples"),
        ("inspect", b'{"version": 2, ', "is no JSON"),
        ("promptfoo", b'{"evalId": "e", "results": {"table": {}}}', "has no results.results"),
        ("promptfoo", b'{"promptIdx": 0}\n{"promptIdx": 1', "is no JSON"),
        ("promptfoo", b'{"promptIdx": 0}', "is no result of promptfoo's"),
        ("braintrust", b'[{"root_span_id": "r", "span_id": "s"}]', "no spans with scores"),
        ("braintrust", b"[1]", "is no JSON object"),
        ("langfuse", b'[{"name": "x"}]', "no table of traces or observations"),
        ("langfuse", b"\xff\xfe", "is not UTF-8"),
        ("table", b"sample_id,success\n1,1,2\n", "3 cells"),
        ("table", b"sample_id,model\n1,m\n", "has no success"),
        ("table", b"id,model,success\n1,m,1\n", "has no sample_id"),
        ("table", b"sample_id,model,success\n1,m,perhaps\n", "cannot be read"),
        ("table", b"", "holds no results"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_why_and_leaves_no_rows(
    source: str, data: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "results", tmp_path / "rows.jsonl"
    file.write_bytes(data)
    out.write_text("what was there\n")
    status, _, err = pointsman(capsys, "import", file, "--from", source, "--out", out)
    assert (status, words in err, "; " in err) == (1, True, True), err
    assert out.read_text() == "what was there\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "rows.jsonl"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["table.csv"], "say --from"),
        (["table.csv", "--map", "question"], "write COLUMN=FIELD"),
        (["table.csv", "--map", "sample_id=question"], "write question=sample_id"),
        (["table.csv", "--map", "question=sampleid"], 'did you mean "sample_id"'),
        (["no-such-file"], "No such file"),
        (["promptfoo-0.123.1.json", "--pass-at", "high"], "is not a number"),
        (["promptfoo-0.123.1.json", "--metric", "exakt"], 'did you mean "exact"'),
    ],
)
def test_wrong_usage(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = pointsman(capsys, "import", FILES / words[0], *words[1:], "--out", tmp_path / "rows.jsonl")
    assert (status, said in err) == (2, True), err


def test_a_log_in_plain_zip_is_read_like_one_in_zstd() -> None:
    data = (FILES / "inspect-0.3.285-small.eval").read_bytes()
    members = {}
    for info in zipfile.ZipFile(io.BytesIO(data)).infolist():
        start = (
            info.header_offset + 30 + int.from_bytes(data[info.header_offset + 26 : info.header_offset + 28], "little")
        )
        start += int.from_bytes(data[info.header_offset + 28 : info.header_offset + 30], "little")
        text = zstandard.ZstdDecompressor().decompressobj().decompress(data[start : start + info.compress_size])
        members[info.filename.removesuffix(".json").replace("/", "__")] = json.loads(text)
    plain = import_results(zipped(**members), "plain.eval", "inspect", Wishes()).results
    assert list(plain.rows) == rows_of("inspect-0.3.285-small.eval")


def test_a_log_of_a_run_that_was_cut_off_says_so() -> None:
    data = zipped(_journal__start=SPEC, samples__a={"id": "a", "epoch": 1, "scores": {"match": {"value": "C"}}})
    imported = import_results(data, "cut.eval", "inspect", Wishes())
    assert [row.success for row in imported.results.rows] == [1.0]
    assert imported.notes == ('the run ended as "started": only samples that were done by then are in the log',)


def test_zstd_without_its_library_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.version_info >= (3, 14):
        pytest.skip("this Python reads zstd itself")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    data = (FILES / "inspect-0.3.285-small.eval").read_bytes()
    (problem,) = import_results(data, "small.eval", "inspect", Wishes()).results.problems
    assert "pointsman[inspect-logs]" in problem.suggestion


JUNK: st.SearchStrategy[object] = st.sampled_from(
    [None, True, -1, 0.5, "", "word", [], [1], {}, {"a": 1}, float("nan")]
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_part_of_a_file_can_break_the_importer(data: st.DataObject) -> None:
    source, document = data.draw(st.sampled_from(SMALL))
    broken = json.loads(json.dumps(document))
    place: Any = broken
    while True:
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else list(range(len(place)))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    place[key] = data.draw(JUNK)
    text = json.dumps(broken).encode()
    try:
        found = import_results(
            text, "broken.json", source, Wishes(metric=None if source == "inspect" else "exact")
        ).results
    except UnclearChoice:
        return
    assert found.problems or found.rows
    for row in found.rows:
        assert row.sample_id
        assert row.model


def _small() -> list[tuple[str, Any]]:
    """The first results of each JSON file: each name of a field is in them."""
    inspected = json.loads((FILES / "inspect-0.3.285-edges.json").read_text())
    inspected["samples"] = inspected["samples"][:2]
    prompted = json.loads((FILES / "promptfoo-0.123.1.json").read_text())
    prompted["results"]["results"] = prompted["results"]["results"][:2]
    spans = json.loads((FILES / "braintrust-0.48.1.json").read_text())[:5]
    traces = json.loads((FILES / "langfuse-3-traces.json").read_text())[:2]
    items = json.loads((FILES / "langfuse-5.0.4-experiment-items.json").read_text())
    items["data"] = items["data"][:2]
    named = [("inspect", inspected), ("promptfoo", prompted), ("braintrust", spans), ("langfuse", traces)]
    return [*named, ("langfuse", items)]


SMALL = _small()
assert {source for source, _ in SMALL} == SOURCES.keys() - {"table"}
