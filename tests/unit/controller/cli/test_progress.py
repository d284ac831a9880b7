import io

import pytest

from controller.cli.progress import Progress, line_of


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("done", "total", "seconds", "line"),
    [
        (0, 4000, 0.0, "░" * 30 + "   0%  0 of 4,000 calls"),
        (1000, 4000, 10.0, "█" * 8 + "░" * 22 + "  25%  1,000 of 4,000 calls, 30 s left"),
        (4100, 4000, 40.0, "█" * 30 + " 100%  4,100 of 4,100 calls, 0 s left"),
        (0, 0, 0.0, "█" * 30 + " 100%  0 of 0 calls"),
    ],
)
def test_a_line_says_how_far_it_is_and_how_long_it_takes(done: int, total: int, seconds: float, line: str) -> None:
    assert line_of("calls", done, total, seconds) == line


def test_a_terminal_sees_a_line_that_is_gone_at_the_end() -> None:
    screen = Screen()
    with Progress("calls", screen) as progress:
        progress.show(1, 2)
    assert "50%" in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[K")


def test_a_file_or_a_pipe_sees_nothing() -> None:
    pipe = io.StringIO()
    with Progress("calls", pipe) as progress:
        progress.show(1, 2)
    assert pipe.getvalue() == ""
