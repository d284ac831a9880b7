"""Plain text tables: aligned columns, a rule under the head, numbers to the right. Pure."""

from collections.abc import Sequence


def render(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int], foot: Sequence[str] = ()
) -> str:
    """`right` holds the numbers of the columns that are aligned to the right; `foot` is a last row under a rule."""
    everything = [head, *rows, *([foot] if foot else [])]
    widths = [max(len(row[column]) for row in everything) for column in range(len(head))]
    rule = "  ".join("─" * width for width in widths)
    lines = [_line(head, widths, right), rule, *(_line(row, widths, right) for row in rows)]
    if foot:
        lines += [rule, _line(foot, widths, right)]
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> str:
    aligned = (
        cell.rjust(width) if column in right else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(aligned).rstrip()
