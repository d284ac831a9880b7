"""Tables of text, for a terminal or in Markdown: the first column to the left, all others to the right."""

from collections.abc import Sequence


def table(cells: Sequence[Sequence[str]], *, markdown: bool) -> list[str]:
    """Its lines; the first row is the heading."""
    return _markdown(cells) if markdown else _text(cells)


def _text(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(text) for text in column) for column in zip(*cells, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in cells
    ]


def _markdown(cells: Sequence[Sequence[str]]) -> list[str]:
    head, *body = (f"| {' | '.join(row)} |" for row in cells)
    return [head, "|---|" + "---:|" * (len(cells[0]) - 1), *body]
