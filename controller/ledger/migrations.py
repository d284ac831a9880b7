"""How the tables came to be: numbered steps, run in order, in one transaction. A published step is never edited.

A step is SQL for both databases, but for the words that `WORDS` gives each of them, and at most one function after it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Final

import msgspec
from sqlalchemy import Connection, RowMapping, text

from controller.errors import LedgerUnavailable
from controller.ledger.booking import Entry, Key, postings_of
from controller.ledger.money import stored
from controller.ledger.tables import SHADOW_USD
from schemas.record import AttemptRecord, CallRecord, Usage, Usd

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "sqlite": {"text": "TEXT", "int": "INTEGER", "real": "REAL", "usd": "TEXT", "by_key": "WITHOUT ROWID"},
    # Sorted by code points, as SQLite does, whatever the server's language is.
    "postgresql": {
        "text": 'TEXT COLLATE "C"', "int": "BIGINT", "real": "DOUBLE PRECISION", "usd": "NUMERIC", "by_key": "",
    },
}  # fmt: skip

LOCK: Final = 0x706F696E7473
"""PostgreSQL's advisory lock of this number keeps two controllers from migrating at once."""


class CannotMigrate(LedgerUnavailable):
    """A person must look at it: the text goes on after the ledger's name."""


@dataclass(frozen=True, slots=True)
class Step:
    statements: tuple[str, ...]
    then: Callable[[Connection], None] | None = None


def migrate(connection: Connection) -> None:
    """Inside the caller's transaction: every step that is missing, or none. Raises `CannotMigrate`."""
    words = WORDS[connection.dialect.name]
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    connection.execute(text("CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY)"))
    done = connection.execute(text("SELECT coalesce(max(version), 0) FROM schema_migrations")).scalar_one()
    if done > len(STEPS):
        raise CannotMigrate(f"was written by a newer version (schema {done}; this one knows {len(STEPS)})")
    for version, step in enumerate(STEPS[done:], start=done + 1):
        for statement in step.statements:
            connection.exec_driver_sql(Template(statement).substitute(words))
        if step.then is not None:
            step.then(connection)
        connection.execute(text("INSERT INTO schema_migrations (version) VALUES (:version)"), {"version": version})


def _sum_up_again(connection: Connection) -> None:
    """The sums of step 2 from the calls: before it, no call was ever deleted, and only SQLite held any."""
    vendors = {
        str(model): str(vendor)
        for model, vendor in connection.execute(text("SELECT DISTINCT model, vendor FROM calls"))
    }
    sums: dict[Key, Entry] = {}
    for row in connection.execute(text("SELECT * FROM calls")).mappings():
        try:
            for key, entry in postings_of(_record_of(row), team=row["team"], vendors=vendors):
                sums[key] = sums[key] + entry if key in sums else entry
        except (ArithmeticError, ValueError, msgspec.DecodeError) as error:
            raise CannotMigrate(f"holds a call that cannot be read, {row['id']}: {error!r}") from error
    columns = ("key", *Key._fields, *(name for name in Entry.__struct_fields__ if name != SHADOW_USD))
    insert = text(f"INSERT INTO daily ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})")
    for key, entry in sums.items():
        figures = {name: figure for name, figure in msgspec.structs.asdict(entry).items() if name != SHADOW_USD}
        figures |= {name: stored(figures[name]) for name in ("cost_usd", "wasted_usd")}
        connection.execute(insert, {"key": key.digest(), **key._asdict(), **figures})


def _record_of(row: RowMapping) -> CallRecord:
    """What a row of step 1 says of its money and its tokens."""
    texts = {name: row[name] for name in _TEXTS_OF_A_CALL}
    tokens = {name: row[name] for name in _TOKENS_OF_A_CALL}
    return CallRecord(
        **texts,
        usage=None if row["input_tokens"] is None else Usage(**tokens),
        cost_usd=None if row["cost_usd"] is None else Usd(row["cost_usd"]),
        wasted_usd=Usd(row["wasted_usd"]),
        attempts=msgspec.json.decode(row["attempts"], type=tuple[AttemptRecord, ...]),
    )


_TEXTS_OF_A_CALL: Final = (
    "id", "at", "sidecar", "use_case", "agent", "caller", "dialect", "outcome", "model", "provider", "vendor", "reason",
    "bundle", "revision",
)  # fmt: skip
_TOKENS_OF_A_CALL: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
)  # fmt: skip


STEPS: Final = (
    Step((
        """
        CREATE TABLE bundles (
            digest $text PRIMARY KEY,
            revision $text NOT NULL,
            owners $text NOT NULL -- JSON: use case to owner, as this bundle says
        ) $by_key
        """,
        """
        CREATE TABLE calls (
            id $text PRIMARY KEY,
            at $text NOT NULL,
            day $text NOT NULL, -- UTC
            sidecar $text NOT NULL,
            use_case $text NOT NULL,
            team $text NOT NULL, -- owner of the use case in the bundle that decided; empty when unknown
            agent $text NOT NULL,
            caller $text NOT NULL,
            dialect $text NOT NULL,
            stream $int NOT NULL,
            outcome $text NOT NULL,
            status $int NOT NULL,
            model $text NOT NULL,
            provider $text NOT NULL,
            vendor $text NOT NULL,
            reason $text NOT NULL,
            bundle $text NOT NULL,
            revision $text NOT NULL,
            input_tokens $int, -- NULL: unknown
            output_tokens $int,
            cache_read_tokens $int,
            cache_write_tokens $int,
            reasoning_tokens $int,
            cost_usd $usd, -- NULL: unknown
            wasted_usd $usd NOT NULL,
            estimated $int NOT NULL,
            seconds $real NOT NULL,
            first_token_seconds $real,
            attempts $text NOT NULL, -- JSON
            dropped $text NOT NULL -- JSON
        ) $by_key
        """,
        "CREATE INDEX calls_by_time ON calls (at)",
        """
        CREATE TABLE daily (
            day $text NOT NULL,
            use_case $text NOT NULL,
            team $text NOT NULL,
            agent $text NOT NULL,
            caller $text NOT NULL,
            model $text NOT NULL,
            provider $text NOT NULL,
            vendor $text NOT NULL,
            reason $text NOT NULL,
            outcome $text NOT NULL,
            requests $int NOT NULL,
            errors $int NOT NULL,
            input_tokens $int NOT NULL,
            output_tokens $int NOT NULL,
            cache_read_tokens $int NOT NULL,
            cache_write_tokens $int NOT NULL,
            reasoning_tokens $int NOT NULL,
            cost_usd $usd NOT NULL,
            wasted_usd $usd NOT NULL,
            unpriced_requests $int NOT NULL,
            PRIMARY KEY (day, use_case, team, agent, caller, model, provider, vendor, reason, outcome)
        ) $by_key
        """,
    )),
    # Sums by revision too, and what failed attempts cost under their own model; calls by pages; calls that go.
    Step((
        "ALTER TABLE bundles ADD COLUMN vendors $text NOT NULL DEFAULT '{}'",  # JSON: model to vendor
        "DROP INDEX calls_by_time",
        "CREATE INDEX calls_by_day ON calls (day, at, id)",
        "DROP TABLE daily",
        """
        CREATE TABLE daily (
            key $text PRIMARY KEY, -- SHA-256 of the eleven texts that follow
            day $text NOT NULL,
            use_case $text NOT NULL,
            team $text NOT NULL,
            agent $text NOT NULL,
            caller $text NOT NULL,
            model $text NOT NULL,
            provider $text NOT NULL,
            vendor $text NOT NULL,
            reason $text NOT NULL,
            outcome $text NOT NULL,
            revision $text NOT NULL,
            requests $int NOT NULL,
            errors $int NOT NULL,
            input_tokens $int NOT NULL,
            output_tokens $int NOT NULL,
            cache_read_tokens $int NOT NULL,
            cache_write_tokens $int NOT NULL,
            reasoning_tokens $int NOT NULL,
            cost_usd $usd NOT NULL,
            wasted_usd $usd NOT NULL,
            unpriced_requests $int NOT NULL
        ) $by_key
        """,
        "CREATE INDEX daily_by_day ON daily (day)",
        """
        CREATE TABLE booked ( -- ids that are not booked again
            id $text PRIMARY KEY,
            until $text -- the last day of that, once its call is deleted
        ) $by_key
        """,
        "CREATE INDEX booked_until ON booked (until) WHERE until IS NOT NULL",
        "INSERT INTO booked (id) SELECT id FROM calls",
        """
        CREATE TABLE controllers ( -- who shares this ledger
            name $text PRIMARY KEY,
            live_sidecars $int NOT NULL,
            seen $real NOT NULL -- seconds since the epoch, by the database's clock
        ) $by_key
        """,
    ), then=_sum_up_again),
    # What other rules can be asked by: the facts of a call, its conversation, and what its own plan said.
    Step((
        "ALTER TABLE calls ADD COLUMN conversation $text NOT NULL DEFAULT ''",
        "ALTER TABLE calls ADD COLUMN arm $text NOT NULL DEFAULT ''",
        "ALTER TABLE calls ADD COLUMN propensity $real",
        "ALTER TABLE calls ADD COLUMN skipped $text NOT NULL DEFAULT '[]'", # JSON
        "ALTER TABLE calls ADD COLUMN facts $text", # JSON; NULL: unknown
    )),
    # What is said of calls later.
    Step((
        """
        CREATE TABLE feedback (
            call $text NOT NULL, -- the id of a call, which need not be in the books
            source $text NOT NULL,
            kind $text NOT NULL,
            at $text NOT NULL,
            day $text NOT NULL, -- UTC, of `at`
            sidecar $text NOT NULL,
            score $real NOT NULL,
            PRIMARY KEY (call, source, kind)
        ) $by_key
        """,
        "CREATE INDEX feedback_by_day ON feedback (day)",
    )),
    # What a canary is judged by: the step of each call, and what the checks of a quality bar said of its answer.
    Step((
        "ALTER TABLE calls ADD COLUMN steering $text NOT NULL DEFAULT ''",
        "ALTER TABLE calls ADD COLUMN quality $text NOT NULL DEFAULT ''", # `pass`, or the checks that failed
        "CREATE INDEX calls_by_steering ON calls (use_case, steering, at) WHERE steering <> ''",
    )),
    # What shadows were asked, each beside the call that was answered; their money apart from that of calls.
    Step((
        """
        CREATE TABLE shadows (
            id $text PRIMARY KEY,
            call $text NOT NULL,
            at $text NOT NULL,
            day $text NOT NULL, -- UTC
            sidecar $text NOT NULL,
            use_case $text NOT NULL,
            team $text NOT NULL,
            bundle $text NOT NULL,
            revision $text NOT NULL,
            outcome $text NOT NULL,
            model $text NOT NULL,
            provider $text NOT NULL,
            vendor $text NOT NULL,
            live_model $text NOT NULL, -- the one that answered the call
            live_provider $text NOT NULL,
            input_tokens $int, -- NULL: no answer
            output_tokens $int,
            cache_read_tokens $int,
            cache_write_tokens $int,
            reasoning_tokens $int,
            cost_usd $usd, -- NULL: no answer
            wasted_usd $usd NOT NULL,
            live_cost_usd $usd, -- NULL: unknown
            estimated $int NOT NULL,
            seconds $real NOT NULL,
            live_seconds $real NOT NULL,
            quality $text NOT NULL, -- JSON
            live_quality $text NOT NULL, -- JSON
            passed $int, -- every check that applied; NULL: none did
            live_passed $int,
            dropped $text NOT NULL -- JSON
        ) $by_key
        """,
        "CREATE INDEX shadows_by_day ON shadows (day, use_case)",
        "ALTER TABLE daily ADD COLUMN shadow_usd $usd NOT NULL DEFAULT '0'",
    )),
    # What several controllers keep together: what the fleet is to run, and who it is.
    Step((
        """
        CREATE TABLE channel (
            name $text PRIMARY KEY,
            epoch $int NOT NULL,
            version $int NOT NULL, -- counts the writes of this row
            document $text NOT NULL -- JSON: the signed pointer, and what stands behind it
        ) $by_key
        """,
        """
        CREATE TABLE shelf (
            digest $text PRIMARY KEY,
            body $text NOT NULL -- the bundle, byte for byte
        ) $by_key
        """,
        """
        CREATE TABLE sidecars (
            name $text PRIMARY KEY,
            seen $real NOT NULL, -- seconds since the epoch, by the database's clock, as all here
            scope $text NOT NULL, -- JSON
            told $real NOT NULL, -- when its status came; 0: it has told none
            status $text NOT NULL, -- JSON; empty: none
            written $real NOT NULL, -- when this row was
            status_written $real NOT NULL
        ) $by_key
        """,
        "DROP TABLE controllers",
    )),
    # One use case day by day: its sums, and how long its answers took.
    Step((
        "CREATE INDEX daily_by_use_case ON daily (use_case, day)",
        "CREATE INDEX calls_by_speed ON calls (use_case, outcome, day, seconds)",
    )),
)  # fmt: skip
