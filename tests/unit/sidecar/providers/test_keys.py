"""Which key a call takes: in turn, but for those that rest, until their rest is over or another key stands there."""

import pytest

from schemas.bundle import Secret
from sidecar.errors import CredentialRefused, Throttled, UpstreamError
from sidecar.providers.keys import FIRST_REST_SECONDS, LONGEST_REST_SECONDS, KeyRing

A, B = Secret(env="A"), Secret(file="/b")
NOW = 1_000.0


def rests(ring: KeyRing, now: float, *, key: str = "one", model: str = "m", provider: str = "p") -> bool:
    return ring.is_resting(provider, A, key, model, now)


def test_each_call_begins_with_the_next_key() -> None:
    ring = KeyRing()
    assert [list(ring.in_turn("p", (A, B))) for _ in range(3)] == [[A, B], [B, A], [A, B]]
    assert list(ring.in_turn("other", (A, B))) == [A, B]


@pytest.mark.parametrize(
    ("status", "headers", "seconds", "for_another_model"),
    [
        (401, {}, FIRST_REST_SECONDS, True),
        (401, {"retry-after": "60"}, FIRST_REST_SECONDS, True),
        (403, {}, FIRST_REST_SECONDS, False),
        (429, {}, FIRST_REST_SECONDS, False),
        (429, {"retry-after": "60"}, 60.0, False),
        (429, {"retry-after-ms": "1500"}, 1.5, False),
        (429, {"retry-after": "86400"}, LONGEST_REST_SECONDS, False),
    ],
)
def test_how_long_and_for_what_a_key_rests(
    status: int, headers: dict[str, str], seconds: float, for_another_model: bool
) -> None:
    ring = KeyRing()
    ring.note("p", A, "one", "m", status, headers, NOW)
    assert rests(ring, NOW + seconds - 0.01)
    assert not rests(ring, NOW + seconds)
    assert rests(ring, NOW, model="other") is for_another_model
    assert not rests(ring, NOW, provider="other")
    assert not ring.is_resting("p", B, "one", "m", NOW)


@pytest.mark.parametrize("status", [200, 400, 404])
def test_a_key_that_served_again_starts_from_the_shortest_rest(status: int) -> None:
    ring, now = KeyRing(), NOW
    for seconds in (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0):
        ring.note("p", A, "one", "m", 401, {}, now)
        assert rests(ring, now + seconds - 0.01)
        now += seconds
        assert not rests(ring, now)
    ring.note("p", A, "one", "m", status, {}, now)
    ring.note("p", A, "one", "m", 401, {}, now)
    assert not rests(ring, now + FIRST_REST_SECONDS)


@pytest.mark.parametrize("status", [500, 503])
def test_a_failing_server_says_nothing_about_a_key(status: int) -> None:
    ring = KeyRing()
    ring.note("p", A, "one", "m", 401, {}, NOW)
    ring.note("p", A, "one", "m", status, {}, NOW)
    assert rests(ring, NOW)


def test_calls_that_were_in_flight_together_lengthen_no_rest() -> None:
    ring = KeyRing()
    for _ in range(5):
        ring.note("p", A, "one", "m", 401, {}, NOW)
    assert not rests(ring, NOW + FIRST_REST_SECONDS)


def test_another_key_in_the_same_place_is_tried_at_once() -> None:
    ring = KeyRing()
    ring.note("p", A, "one", "m", 401, {}, NOW)
    assert not rests(ring, NOW, key="two")
    ring.note("p", A, "two", "m", 401, {}, NOW)
    assert rests(ring, NOW, key="two")
    assert not rests(ring, NOW + FIRST_REST_SECONDS, key="two")


@pytest.mark.parametrize(
    ("first", "second", "kind", "retry_after"),
    [
        ((401, {}), (403, {}), CredentialRefused, None),
        ((401, {}), (429, {"retry-after": "30"}), Throttled, 30.0),
        ((429, {"retry-after": "20"}), (429, {"retry-after": "30"}), Throttled, 20.0),
    ],
)
def test_what_a_call_meets_when_every_key_rests(
    first: tuple[int, dict[str, str]],
    second: tuple[int, dict[str, str]],
    kind: type[UpstreamError],
    retry_after: float | None,
) -> None:
    ring = KeyRing()
    ring.note("p", A, "sk-one", "m", *first, NOW)
    ring.note("p", B, "sk-two", "m", *second, NOW)
    refusal = ring.refusal("p", {A: "sk-one", B: "sk-two"}, "m", NOW)
    assert (type(refusal), refusal.retry_after_seconds) == (kind, retry_after)
    assert "sk-" not in refusal.message


def test_how_many_keys_of_a_provider_rest() -> None:
    ring = KeyRing()
    for model in ("m", "n"):
        ring.note("p", A, "one", model, 429, {}, NOW)
    ring.note("p", B, "two", "m", 401, {}, NOW)
    ring.note("q", A, "one", "m", 429, {"retry-after": "1"}, NOW)
    assert ring.resting(NOW) == {"p": 2, "q": 1}
    assert ring.resting(NOW + 2) == {"p": 2}


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [(401, {}, 5.0), (403, {}, 0.0), (429, {}, 1.0), (429, {"retry-after": "60"}, 60.0)],
)
def test_a_provider_s_only_key_rests_no_longer_than_it_must(
    status: int, headers: dict[str, str], seconds: float
) -> None:
    ring = KeyRing()
    ring.note("p", A, "one", "m", status, headers, NOW, is_only=True)
    assert rests(ring, NOW) is (seconds > 0)
    assert not rests(ring, NOW + seconds)
