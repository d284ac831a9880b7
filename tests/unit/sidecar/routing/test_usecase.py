"""Which use case a call belongs to."""

import pytest

from schemas.bundle import Caller, UseCase
from sidecar.errors import NotAllowed, UnknownUseCase
from sidecar.routing.usecase import select_use_case
from tests.fakes import core_bundles as bundles

RULES = bundles.snapshot(
    aliases=("gpt-4o", "chat-*"),
    more_use_cases={
        "code": UseCase(owner="team", chain=("beta",), aliases=("gpt-*",)),
        "chat-fast": UseCase(owner="team", chain=("beta",)),
    },
)
BOT = Caller(name="bot", key_sha256="00", use_cases=("code",), default_use_case="code")
ANYONE = Caller(name="anyone", key_sha256="01")


@pytest.mark.parametrize(
    ("named", "model", "caller", "default", "found"),
    [
        ("code", "chat", None, None, "code"),
        (None, "chat", None, None, "chat"),
        ("", "chat", None, None, "chat"),
        (None, "gpt-4o", None, None, "chat"),
        (None, "gpt-5", None, None, "code"),
        (None, "chat-fast", None, None, "chat-fast"),
        (None, "chat-slow", None, None, "chat"),
        (None, "other", BOT, "chat", "code"),
        (None, "other", ANYONE, "chat", "chat"),
        (None, "other", None, "chat", "chat"),
    ],
)
def test_the_first_that_says_decides(
    named: str | None, model: str, caller: Caller | None, default: str | None, found: str
) -> None:
    assert select_use_case(RULES, named=named, model=model, caller=caller, default=default).name == found


@pytest.mark.parametrize(
    ("named", "model", "default", "words"),
    [
        ("cod", "chat", None, "code"),
        (None, "other", None, "known use cases: chat, chat-fast, code"),
        (None, "other", "gone", 'default use case "gone"'),
    ],
)
def test_an_unknown_one_is_said_with_what_there_is(
    named: str | None, model: str, default: str | None, words: str
) -> None:
    with pytest.raises(UnknownUseCase, match=words):
        select_use_case(RULES, named=named, model=model, caller=None, default=default)


@pytest.mark.parametrize(("named", "model", "word"), [("chatt", "x", "chatt"), ("cod", "x", "cod"), (None, "", "")])
def test_names_beyond_a_key_are_not_listed(named: str | None, model: str, word: str) -> None:
    bot = Caller(name="bot", key_sha256="00", use_cases=("code",))
    with pytest.raises(UnknownUseCase) as refused:
        select_use_case(RULES, named=named, model=model, caller=bot, default=None)
    said = str(refused.value)
    assert said.endswith("known use cases: code")
    assert "chat" not in said.replace(f'"{word}"', "")


def test_a_key_covers_its_use_cases_and_no_other() -> None:
    with pytest.raises(NotAllowed, match="bot"):
        select_use_case(RULES, named="chat", model="x", caller=BOT, default=None)
