from controller.dashboard.html import Reader, as_html
from controller.dashboard.overview import overview_page


def test_a_ledger_that_is_away_is_unknown_and_never_zero() -> None:
    page = overview_page("r1", None, None, None, days=7)
    html = as_html(page, Reader("", ""))
    assert "cannot be read just now" in html
    assert "No call is booked yet" not in html
    assert "0.0000" not in html
