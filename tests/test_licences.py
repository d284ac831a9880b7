"""What is shipped beside our own code is on the page of licences, and may be shipped."""

import re

from tests.licences import ALLOWED, PAGE, shipped


def test_every_package_that_is_shipped_stands_on_the_page_with_its_licence() -> None:
    listed = PAGE.read_text(encoding="utf-8")
    missing = [name for name, (licence, _) in shipped().items() if f"| {name} | {licence} |" not in listed]
    assert not missing, "python -m tests.licences writes the page"
    assert {"aiohttp", "cryptography", "psycopg"} <= shipped().keys()


def test_every_licence_is_one_that_permits_it() -> None:
    said = {name: re.split(" AND | OR ", licence) for name, (licence, _) in shipped().items()}
    assert {name: parts for name, parts in said.items() if not ALLOWED.issuperset(parts)} == {}
