"""However rule files are mangled: problems with places, or a bundle that a sidecar can run; never an exception."""

from datetime import date
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.__main__ import read_folder
from schemas.bundle import decode_bundle, encode_bundle
from schemas.load import load
from schemas.problems import has_errors
from sidecar.routing.snapshot import build_snapshot

RULES = Path(__file__).parents[3] / "examples" / "rules"
EXAMPLE = {
    name: text
    for name, text in read_folder(RULES).items()
    if name.split("/")[0] == "pointsman.yaml"
    or "content-generation" in name
    or name.startswith(("models/gpt-5", "models/gemini", "providers/o", "providers/gemini"))
}
SCRAPS = st.sampled_from(
    ["", " ", "\n", "{}", "[]", "null", "0", "-1", "1e99", "yes", "reject", ":", "{", "]", "'", "&a ", "*a", "\t",
     "- ", "x: ", "\x00", "\ud800", "9" * 50, "😀", "rules", "gpt-5", "!!int "]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_mangled_file_is_answered(data: st.DataObject) -> None:
    files = dict(EXAMPLE)
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(files)))
        text = files[name]
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        files[name] = text[:start] + data.draw(SCRAPS) + text[end:]
    loaded = load(files, today=date(2026, 11, 23), revision="x")
    assert (loaded.bundle is None) is has_errors(loaded.problems)
    for problem in loaded.problems:
        lines = files.get(problem.file, "").splitlines()
        assert 0 <= problem.line <= len(lines) + 1
        assert "\n" not in str(problem)
    if loaded.bundle is not None:
        build_snapshot(decode_bundle(encode_bundle(loaded.bundle)))
