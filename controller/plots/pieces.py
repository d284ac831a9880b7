"""What every plot is made of: scales, axes with round numbers, texts that do not lie on one another. Pure.

Colours and lines come from classes that `style.STYLE` paints from the page's own variables.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Final, TypeAlias

WIDTH: Final = 720
LETTER: Final = 7.0
"""Pixels of one letter at 13 px, on the safe side: how much room a text is given."""
ROW: Final = 30
NAME_LETTERS: Final = 26

Scale: TypeAlias = Callable[[float], float]


def scale(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def axis(x: Scale, low: float, high: float, bottom: float, words: Callable[[float], str]) -> str:
    parts = [f'<line class="axis" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{bottom}" y2="{bottom}"/>']
    for value in ticks(low, high):
        parts.append(f'<line class="grid" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="24" y2="{bottom}"/>')
        parts.append(text(x(value), bottom + 18, words(value), "middle", "quiet"))
    return "".join(parts)


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers within the range, at 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough)
    first = math.ceil(low / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return [round(index * step, digits) + 0.0 for index in range(first, math.floor(high / step + 1e-9) + 1)]


def labels(
    marks: Sequence[tuple[str, float, float]], left: float, right: float, top: float, bottom: float
) -> Iterable[str]:
    """Each name beside its mark, moved until it covers no other name and no mark; where no room is left, none."""
    taken = [(x - 7, y - 7, x + 7, y + 7) for _, x, y in marks]
    for name, x, y in sorted(marks, key=lambda mark: (mark[2], mark[1])):
        words = short(name, 40)
        wide = LETTER * len(words)
        for start, middle in _places(x, y, wide):
            box = (start, middle - 9, start + wide, middle + 7)
            is_inside = left <= start and start + wide <= right and top <= middle <= bottom - 8
            if is_inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                yield text(start, middle + 4, words, "start")
                break


def _places(x: float, y: float, wide: float) -> Iterable[tuple[float, float]]:
    """Right and left of the mark, nearest first."""
    for step in range(12):
        for middle in dict.fromkeys((y - 6 * step, y + 6 * step)):
            yield x + 10, middle
            yield x - 10 - wide, middle


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def dollars(amount: float) -> str:
    return f"{amount:.6g}"


def short(name: str, most: int = NAME_LETTERS) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def text(x: float, y: float, words: str, anchor: str, kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def svg(height: float, title: str, parts: Iterable[str], caption: str = "") -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{"".join(parts)}{caption}</svg></figure>'
    )
