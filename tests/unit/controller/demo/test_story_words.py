"""How the story looks: at 80 columns, on a terminal and behind a pipe; commands that a shell takes as they stand."""

import io
import json
import shlex
import socket

import pytest

from controller.demo.calls import Ask, anthropic_ask, curl_line, openai_ask
from controller.demo.narration import Style, Terminal, fold, shell_line, split_table
from controller.demo.ports import NoPorts, is_free, reserved
from controller.processes import environment_of_children

TABLE = """\
use case          model             requests  errors   input  cost USD
────────────────  ────────────────  ────────  ──────  ──────  ────────
customer-support  simulated-gpt            4       0      56    0.0010
────────────────  ────────────────  ────────  ──────  ──────  ────────
total                                      9       0     168    0.0020

2 rows"""


def words_of(line: str) -> list[str]:
    """As a shell reads it; shlex knows no continued lines."""
    return shlex.split(line.replace(" \\\n", " "))


def test_a_table_that_fits_is_left_alone() -> None:
    assert split_table(TABLE, 2, 80) == TABLE


def test_a_wide_table_comes_in_parts_that_each_name_their_rows() -> None:
    parts = split_table(TABLE, 2, 56)
    assert max(map(len, parts.splitlines())) <= 56
    rows = [line.split() for line in parts.splitlines() if line.startswith("customer-support")]
    assert rows == [
        ["customer-support", "simulated-gpt", "4", "0"],
        ["customer-support", "simulated-gpt", "56", "0.0010"],
    ]
    assert parts.endswith("\n\n2 rows")


@pytest.mark.parametrize("text", ["no table at all", "No calls are booked for these days."])
def test_words_are_no_table(text: str) -> None:
    assert split_table(text, 2, 10) == text


def test_lines_are_folded_at_spaces_and_keep_their_indent() -> None:
    folded = fold("  a line that is too long for this terminal", 20)
    assert [line.strip() for line in folded] == ["a line that is too", "long for this", "terminal"]
    assert all(len(line) <= 20 for line in folded)
    assert folded[1].startswith("    ")


@pytest.mark.parametrize(("coloured", "expected"), [(True, "    \x1b[31mred\x1b[0m\n"), (False, "    red\n")])
def test_colour_is_for_terminals(coloured: bool, expected: str) -> None:
    stream = io.StringIO()
    Terminal(stream, is_coloured=coloured).output("red", Style.BAD)
    assert stream.getvalue() == expected


def test_behind_a_pipe_what_programs_say_stays_in_whole_lines() -> None:
    stream = io.StringIO()
    Terminal(stream).output("word " * 40)
    assert stream.getvalue() == "    " + ("word " * 40).rstrip() + "\n"


def test_streamed_pieces_are_the_text_whatever_their_size() -> None:
    texts = []
    for pieces in (["Hello ", "wor", "ld"], ["Hello world"]):
        stream = io.StringIO()
        with Terminal(stream).pieces() as show:
            for piece in pieces:
                show(piece)
        texts.append(stream.getvalue())
    assert texts == ["    Hello world\n"] * 2


@pytest.mark.parametrize(
    "ask",
    [
        openai_ask("How do I reset my password?", model="gpt-4o", max_tokens=80, stream=True),
        anthropic_ask("How do I reset my password?", model="claude-sonnet-4-6", max_tokens=80),
    ],
)
def test_the_curl_line_is_the_call(ask: Ask) -> None:
    line = curl_line("http://127.0.0.1:4100", ask)
    words = words_of(line)
    assert json.loads(words[words.index("-d") + 1]) == ask.body
    assert f"http://127.0.0.1:4100{ask.path}" in words
    headers = {words[at + 1] for at, word in enumerate(words) if word == "-H"}
    assert headers == {f"{name}: {value}" for name, value in ask.headers.items()}
    assert all(len(each) <= 74 for each in line.splitlines())


def test_a_long_command_is_the_same_on_several_lines() -> None:
    words = ["pointsman", "serve", "--repo", "/a folder/rules", "--state", "x" * 50, "--listen", "127.0.0.1:4200"]
    line = shell_line(words)
    assert words_of(line) == words
    assert len(line.splitlines()) > 1


def test_two_demos_get_ports_of_their_own() -> None:
    with reserved(2, 4600) as first, reserved(2, 4600) as second:
        assert not set(first) & set(second)
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert not is_free(taken)
        with reserved(1, taken) as (port,):
            assert port != taken
    with pytest.raises(NoPorts, match="no 3 free ports from 65534 on"), reserved(3, 65534):
        pass


def test_children_are_not_bent_by_settings_or_proxies() -> None:
    found = environment_of_children({"POINTSMAN_STATE": "/elsewhere", "NO_PROXY": "example.org", "PATH": "/bin"})
    assert "POINTSMAN_STATE" not in found
    assert found["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert found["no_proxy"] == "127.0.0.1,localhost"
    assert found["PATH"] == "/bin"
