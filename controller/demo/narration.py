"""How the demo tells its story on a terminal: headings, sentences, commands, what came back."""

import io
import os
import re
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

WIDTH = 80
"""A narrower terminal gets shorter lines, a wider one does not get longer ones."""
NARROWEST = 40
BODY = "    "
PROGRESS_SECONDS = 0.2
RULE = "─"


class Style(StrEnum):
    """SGR parameters of ECMA-48, by what they mark."""

    HEADING = "1"
    COMMAND = "36"
    GOOD = "32"
    BAD = "31"
    QUIET = "2"


@dataclass(frozen=True, slots=True)
class Terminal:
    """Writes each piece at once, so that a reader behind a pipe follows the story as it happens."""

    stream: TextIO
    is_coloured: bool = False
    is_interactive: bool = False
    width: int = WIDTH
    """Of the narrator's own lines."""
    output_width: int | None = None
    """Of what programs say; none: as it is, for whoever reads a pipe looks for whole lines."""

    def heading(self, number: int, title: str) -> None:
        self._write(f"\n{self._styled(f'{number}. {title}', Style.HEADING)}\n")

    def say(self, text: str) -> None:
        """A paragraph of the narrator."""
        self._write("\n" + textwrap.fill(text, self.width, break_long_words=False, break_on_hyphens=False) + "\n")

    def command(self, line: str) -> None:
        """What a person could type; further lines of it are indented."""
        first, *rest = line.splitlines()
        lines = [f"  $ {first}", *(f"      {more}" for more in rest)]
        self._write("\n" + "".join(f"{self._styled(each, Style.COMMAND)}\n" for each in lines))

    def output(self, text: str, style: Style | None = None) -> None:
        """What a program answered, as it is; lines that are too long for a terminal are folded."""
        for line in text.rstrip("\n").splitlines():
            for part in [line] if self.output_width is None else fold(line, self.output_width - len(BODY)):
                self._write(f"{BODY}{part if style is None else self._styled(part, style)}".rstrip(" ") + "\n")

    def table(self, text: str, keys: int) -> None:
        """A program's table; on a terminal too narrow for it in parts that each begin with its `keys` first columns."""
        self.output(text if self.output_width is None else split_table(text, keys, self.output_width - len(BODY)))

    def result(self, text: str) -> None:
        """The sentence that a step ends with."""
        filled = textwrap.fill(
            text, self.width - 2, initial_indent="  ", subsequent_indent="  ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        self._write("".join(f"{self._styled(line, Style.GOOD)}\n" for line in filled.splitlines()))

    def block(self, text: str) -> None:
        """Several lines in one write."""
        self._write(text)

    @contextmanager
    def pieces(self) -> Iterator[Callable[[str], None]]:
        """For text that arrives in pieces: on a terminal it is shown as it comes, behind a pipe it is the same text."""
        column = 0

        def show(piece: str) -> None:
            nonlocal column
            for character in piece:
                if column == 0:
                    self.stream.write(BODY)
                    column = len(BODY)
                if character == "\n" or (character == " " and column > self.width - 12):
                    self.stream.write("\n")
                    column = 0
                else:
                    self.stream.write(character)
                    column += 1
            self.stream.flush()

        yield show
        if column:
            self._write("\n")

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[], None]]:
        """A line with the seconds of a slow step, on a terminal only; the step calls what it is given as it waits."""
        started = shown = time.monotonic()

        def tick() -> None:
            nonlocal shown
            now = time.monotonic()
            if self.is_interactive and now - shown >= PROGRESS_SECONDS:
                shown = now
                self._write(f"\r{BODY}{self._styled(f'{what} … {now - started:.0f} s', Style.QUIET)}")

        try:
            yield tick
        finally:
            if shown != started:
                self._write("\r\x1b[K")

    def _styled(self, text: str, style: Style) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self.is_coloured else text

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def open_terminal(environ: Mapping[str, str] = os.environ) -> Terminal:
    """Standard output: coloured on a terminal, unless NO_COLOR is set (https://no-color.org) or it is a dumb one."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a model may say what this terminal's encoding cannot
    is_terminal = sys.stdout.isatty()
    is_coloured = is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    columns = max(NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns)
    return Terminal(sys.stdout, is_coloured, is_terminal, min(WIDTH, columns), columns if is_terminal else None)


def fold(line: str, width: int) -> list[str]:
    """The line in parts of at most `width` characters, cut at spaces where there are any; tables keep their columns."""
    if len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(
        line, width, subsequent_indent=indent, replace_whitespace=False, drop_whitespace=True,
        break_on_hyphens=False,
    )  # fmt: skip


def split_table(text: str, keys: int, width: int) -> str:
    """A table of ours, whose columns stand under a rule of `─`, in parts that fit; what is no table stays as it is."""
    lines = text.splitlines()
    rule = next((line for line in lines if RULE in line), "")
    spans = [match.span() for match in re.finditer(f"{RULE}+", rule)]
    if len(rule) <= width or len(spans) <= keys:
        return text
    end = next(number for number, line in enumerate([*lines, ""]) if not line)
    groups: list[list[tuple[int, int]]] = [[]]
    for start, stop in spans[keys:]:
        used = sum(b - a + 2 for a, b in [*spans[:keys], *groups[-1]])
        if groups[-1] and used + stop - start > width:
            groups.append([])
        groups[-1].append((start, stop))
    parts = [
        "\n".join(
            "  ".join(line.ljust(stop)[start:stop] for start, stop in [*spans[:keys], *group]) for line in lines[:end]
        )
        for group in groups
    ]
    return "\n".join(["\n\n".join(parts), *lines[end:]])


def shell_line(words: Sequence[str], width: int = WIDTH - 8) -> str:
    """The words as a shell takes them, on several lines where one would be too long; a flag keeps its value."""
    chunks: list[str] = []
    for word in map(shlex.quote, words):
        follows_flag = bool(chunks) and chunks[-1].startswith("-") and " " not in chunks[-1]
        if follows_flag and not word.startswith("-"):
            chunks[-1] += f" {word}"
        else:
            chunks.append(word)
    lines = [""]
    for chunk in chunks:
        if lines[-1] and len(lines[-1]) + 1 + len(chunk) > width:
            lines.append(chunk)
        else:
            lines[-1] = f"{lines[-1]} {chunk}".strip()
    return " \\\n".join(lines)
