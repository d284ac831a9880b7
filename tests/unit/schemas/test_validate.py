"""A rule file is judged alike by its schema and by the code that is made from it: nobody can tell which of them did."""

from pathlib import Path

import fastjsonschema
import pytest

from schemas.load import _kind_of
from schemas.problems import Problem
from schemas.validate import _compiled, _validator
from schemas.yaml_source import parse_yaml
from tests.fakes.processes import REPOSITORY
from tests.golden.rules.test_gallery import BASE, CASES, parts_of

EXAMPLES = REPOSITORY / "examples" / "rules"


def judged(file: str, text: str) -> tuple[bool, bool] | None:
    """By the schema, by the code; None where nobody is asked."""
    kind, (document, _) = _kind_of(file), parse_yaml(file, text)
    if document is None or kind is None or isinstance(kind, Problem):
        return None
    try:
        _compiled(kind.schema)(document.data)
    except fastjsonschema.JsonSchemaValueException:
        return _validator(kind.schema).is_valid(document.data), False
    return _validator(kind.schema).is_valid(document.data), True


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_what_is_wrong_is_wrong_to_both(case: Path) -> None:
    for file, text in parts_of(case.read_text()).items():
        verdicts = judged(file, text)
        assert verdicts is None or verdicts[0] is verdicts[1], file


def test_what_is_right_is_right_to_both() -> None:
    files = BASE | {str(path.relative_to(EXAMPLES)): path.read_text() for path in EXAMPLES.rglob("*.yaml")}
    asked = [verdicts for file, text in files.items() if (verdicts := judged(file, text)) is not None]
    assert set(asked) == {(True, True)}
    assert len(asked) > 20
