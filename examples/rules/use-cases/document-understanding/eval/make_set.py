"""Writes set.jsonl: short business documents, each with five questions whose answers stand in it or follow from it.

    python make_set.py > set.jsonl

The same seed gives the same set. Documents are made up; every target is what the document itself says.
"""

import json
import random
from collections.abc import Iterator

SEED = 2026
DOCUMENTS = 50
ADDED = "2026-11-26"
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
CITIES = ("Oslo", "Lyon", "Porto", "Ghent", "Graz", "Turin", "Leeds", "Bremen", "Malmo", "Basel", "Cork", "Gdansk")
GOODS = ("chairs", "lamps", "desks", "screens", "shelves", "printers", "tables", "fans", "clocks", "cabinets")
KINDS = "invoice, contract, receipt or complaint"


def main() -> None:
    chance = random.Random(SEED)
    makers = (invoice, contract, receipt, complaint)
    for number in range(DOCUMENTS):
        kind = makers[number % len(makers)]
        text, questions = kind(chance)
        for place, (part, question, target) in enumerate(questions):
            print(json.dumps({
                "id": f"{kind.__name__}-{number:02}-{place}",
                "input": f"{text}\n{question}",
                "target": target,
                "cluster": f"{kind.__name__}-{number:02}",
                "slice": part,
                "added": ADDED,
                "source": "make_set.py",
            }))  # fmt: skip


Questions = Iterator[tuple[str, str, str | list[str]]]


def invoice(chance: random.Random) -> tuple[str, Questions]:
    day, month, year, city, goods = _facts(chance)
    pieces, price = chance.randint(2, 9), chance.choice((10, 20, 25, 30, 40, 50))
    total = pieces * price
    text = (
        f"Invoice of {day} {month} {year}. Delivered to {city}: {pieces} {goods} at {price} dollars each. "
        f"Total due: {total} dollars within 30 days."
    )
    return text, _asked(
        ("kind", f"Is this an {KINDS}?", "invoice"),
        ("date", "In which year was it written?", str(year)),
        ("place", "To which city were the goods delivered?", city),
        ("amount", "How many dollars are due in total?", _number(total)),
        ("reasoning", f"How many dollars would {pieces + 1} {goods} cost?", _number(total + price)),
    )


def contract(chance: random.Random) -> tuple[str, Questions]:
    day, month, year, city, goods = _facts(chance)
    years, rent = chance.randint(2, 5), chance.randrange(200, 900, 50)
    text = (
        f"Contract signed in {city} on {day} {month} {year}. The owner lends {goods} to the tenant for {years} years. "
        f"The tenant pays {rent} dollars each month."
    )
    return text, _asked(
        ("kind", f"Is this an {KINDS}?", "contract"),
        ("date", "In which month was it signed?", month),
        ("place", "In which city was it signed?", city),
        ("amount", "How many dollars does the tenant pay each month?", _number(rent)),
        ("reasoning", "In which year does it end?", str(year + years)),
    )


def receipt(chance: random.Random) -> tuple[str, Questions]:
    day, month, year, city, goods = _facts(chance)
    paid, price = 100, chance.randrange(10, 90, 5)
    text = (
        f"Receipt. Shop in {city}, {day} {month} {year}. Sold: {goods}. Price: {price} dollars. "
        f"Paid in cash: {paid} dollars. Thank you for your purchase!"
    )
    return text, _asked(
        ("kind", f"Is this an {KINDS}?", "receipt"),
        ("date", "In which year was this bought?", str(year)),
        ("place", "In which city is the shop?", city),
        ("amount", f"What is the price of the {goods} in dollars?", _number(price)),
        ("reasoning", "How many dollars did the customer get back?", _number(paid - price)),
    )


def complaint(chance: random.Random) -> tuple[str, Questions]:
    day, month, year, city, goods = _facts(chance)
    ordered = chance.randint(6, 20)
    broken = chance.randint(1, 4)
    text = (
        f"{city}, {day} {month} {year}. We are unhappy with your service. Of the {ordered} {goods} that we ordered, "
        f"{broken} arrived broken. Please send us our money back."
    )
    return text, _asked(
        ("kind", f"Is this an {KINDS}?", "complaint"),
        ("date", "In which month was it written?", month),
        ("place", "In which city was it written?", city),
        ("amount", f"How many {goods} were ordered?", _number(ordered)),
        ("reasoning", f"How many {goods} were not broken?", _number(ordered - broken)),
    )


def _facts(chance: random.Random) -> tuple[int, str, int, str, str]:
    return (
        chance.randint(1, 28), chance.choice(MONTHS), chance.randint(2011, 2025), chance.choice(CITIES),
        chance.choice(GOODS),
    )  # fmt: skip


def _asked(*questions: tuple[str, str, str | list[str]]) -> Questions:
    for part, question, target in questions:
        yield part, f"{question} Answer with {_FORM[part]}.", target


_FORM = {
    "kind": "one word",
    "date": "it alone",
    "place": "the city alone",
    "amount": "a number",
    "reasoning": "a number",
}
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _number(value: int) -> str | list[str]:
    """A number in figures, or in a word where it is small."""
    return [str(value), _WORDS[value]] if value < len(_WORDS) else str(value)


if __name__ == "__main__":
    main()
