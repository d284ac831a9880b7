"""What the translation is measured on is what it says: of its size, and read by every dialect without a loss."""

import pytest

from sidecar.canonical.events import collect
from sidecar.canonical.model import ModelTraits
from sidecar.canonical.request import Text
from sidecar.dialects.registry import DIALECTS, TARGETS
from tests.bench.conversations import IN_PATH, MAX_OUTPUT_TOKENS, encode_chunks, encode_conversation


@pytest.mark.parametrize("size", [2_000, 100_000])
def test_every_dialect_says_the_same_conversation_and_can_carry_all_of_it(size: int) -> None:
    assert len(encode_conversation("openai", size)) == pytest.approx(size, rel=0.2)
    for name, dialect in DIALECTS.items():
        request = dialect.decode_request(dialect.open(encode_conversation(name, size), IN_PATH))
        assert len(request.tools) == 1
        assert {message.role for message in request.messages} == {"system", "user", "assistant", "tool"}
        for target in TARGETS.values():
            assert target.encode_request(request, ModelTraits("m", MAX_OUTPUT_TOKENS)).dropped == ()


def test_every_dialect_says_the_same_answer() -> None:
    answers = []
    for name, dialect in TARGETS.items():
        decoder = dialect.new_decoder()
        events = [event for chunk in encode_chunks(name, 20) for event in decoder.feed(chunk)]
        answers.append(collect([*events, *decoder.finish()]))
    parts = {answer.choices[0].parts for answer in answers}
    assert len(parts) == 1
    assert all(isinstance(part, Text) and len(part.text.split()) == 20 for (part,) in parts)
    assert {answer.usage for answer in answers} == {answers[0].usage}
