"""The composition root: builds every part once, wires them, and owns the order of start and stop."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from schemas.expectations import pass_over_odd_expectations
from schemas.hosts import allowed_hosts
from schemas.status import SidecarState, SidecarStatus
from schemas.version import VERSION
from sidecar.clock import SystemClock
from sidecar.core.counting import TokenCounter
from sidecar.core.pipeline import Pipeline
from sidecar.core.shadows import Shadows
from sidecar.dialects.estimate import estimate_text_tokens
from sidecar.durable import write_durably
from sidecar.fleet_watch import FleetWatch
from sidecar.limiter.limits import Limits
from sidecar.ports import CallObserver
from sidecar.providers.aiohttp_client import AiohttpClient
from sidecar.providers.client import HttpClient
from sidecar.providers.credentials import Credentials
from sidecar.providers.http import HttpUpstream
from sidecar.providers.own_client import OwnClient
from sidecar.routing.plan import Spend
from sidecar.routing.snapshot import Ceiling, Target
from sidecar.rules.cache import LastGood
from sidecar.rules.probation import Probation
from sidecar.rules.reporter import Reporter
from sidecar.rules.sources import BUNDLE_FILE, ControllerSource, FileSource, FolderSource, Source, run_sources, take
from sidecar.rules.store import RuleStore
from sidecar.rules.trust import LocalTrust, Trust
from sidecar.server.admin import admin_app
from sidecar.server.agents import AgentPort
from sidecar.server.listening import Listener
from sidecar.server.passthrough import PassThrough
from sidecar.server.unreadable import UnreadableRequests
from sidecar.settings import JSON, OWN_CLIENT, VOCABULARY, Address, Settings, is_url
from sidecar.spool.shipper import Shipper, records_of
from sidecar.spool.spool import MAX_SPOOL_BYTES, Spool
from sidecar.stores.redis import RedisStore
from sidecar.telemetry.json_lines import CallLog
from sidecar.telemetry.loop_lag import LoopLag
from sidecar.telemetry.metrics import Metrics
from sidecar.telemetry.otel_settings import OtelSettings
from sidecar.telemetry.recent import RecentCalls
from sidecar.trace_context import as_it_came
from sidecar.uplink import Uplink, UplinkFailed
from sidecar.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from sidecar.telemetry.otlp import OtlpCalls, TargetOf

FIRST_RULES_SECONDS = 2.0
"""How long a start waits for fresh rules before it answers with those from disk."""
LAST_SHIPMENT_SECONDS = 5.0
ALIVE_SECONDS = 5.0
"""Between two notes that this process still lives under its rules."""

log = logging.getLogger("pointsman")


class Sidecar:
    """One process's parts."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = SystemClock()
        settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.id = identity(settings.state)
        self._started_at = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="seconds")
        trust = Trust(settings.public_keys) if settings.public_keys else LocalTrust()
        rules = settings.state / "rules"
        self._store = RuleStore(self._clock, trust, LastGood(rules), Probation(rules, VERSION), sidecar=self.id)
        self._spool = Spool(settings.state / "spool")
        proxied = any(name in os.environ for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"))
        self._upstream = HttpUpstream(Credentials(), _client(settings, self._clock, proxied=proxied), clock=self._clock)
        self._uplinks = [
            Uplink(
                source,
                self.id,
                settings.controller_token,
                serves=settings.serves,
                tls=settings.controller_tls,
                trust_env=proxied,
            )
            for source in settings.rules
            if is_url(source)
        ]
        self._metrics = Metrics()
        self._loop_lag = LoopLag(self._clock)
        self._store_of_limits = _limit_store(settings.redis_url, self.id, self._clock)
        self._limits = Limits(
            clock=self._clock,
            observer=self._metrics,
            store=self._store_of_limits,
            has_controller=bool(self._uplinks),
        )
        self._shadow_upstream = HttpUpstream(
            Credentials(), _client(settings, self._clock, proxied=proxied), clock=self._clock
        )
        self._shadows = Shadows(
            sidecar=self.id,
            clock=self._clock,
            upstream=self._shadow_upstream,
            sink=self._spool,
            limits=self._limits,
            observer=self._metrics,
        )
        recent = RecentCalls()
        self._otlp = None if settings.otel is None else _otlp(self.id, self._target, settings.otel)
        self._pipeline = Pipeline(
            sidecar=self.id,
            clock=self._clock,
            upstream=self._upstream,
            sink=self._spool,
            observers=(self._metrics, recent, *self._told(settings)),
            default_use_case=settings.use_case,
            default_agent=settings.agent,
            limits=self._limits,
            count_text=load_vocabulary() if settings.token_counts == VOCABULARY else estimate_text_tokens,
            shadows=self._shadows,
        )
        self._agents = AgentPort(
            pipeline=self._pipeline,
            counter=TokenCounter(self._pipeline, self._upstream),
            passthrough=PassThrough(self._pipeline, self._upstream),
            store=self._store,
            clock=self._clock,
            metrics=self._metrics,
            recent=recent,
            allowed_hosts=allowed_hosts(settings.listen.host, settings.allow_hosts),
            max_body_bytes=settings.max_body_bytes,
            context_for=as_it_came if self._otlp is None else self._otlp.context_for,
        )
        self._draining = False
        self._add_gauges()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then drain."""
        self._store.load_last_good()
        if self._otlp is not None:
            self._otlp.start()
        await self._recall_what_is_not_booked()
        tasks = [asyncio.create_task(self._spool.keep_synced()), asyncio.create_task(self._follow_rules())]
        tasks.append(asyncio.create_task(self._note_alive()))
        tasks += [asyncio.create_task(self._limits.run()), asyncio.create_task(self._loop_lag.run())]
        if self._store_of_limits is not None:
            tasks.append(asyncio.create_task(self._store_of_limits.run()))
        for uplink in self._uplinks:
            reporter = Reporter(uplink, self.status, self._clock)
            self._store.on_change.append(reporter.changed.set)
            tasks.append(asyncio.create_task(reporter.run()))
        if self._uplinks:
            tasks.append(asyncio.create_task(self._shipper().run()))
            tasks.append(asyncio.create_task(FleetWatch(self._uplinks[0], self._limits, self._clock).run()))
        await self._first_rules()
        agents = Listener(self._agents, self._clock)
        agents_at = await agents.listen(self._settings.listen)
        admin, admin_at = await self._listen_to_operators()
        print(
            f"pointsman-sidecar {self.id} listens on http://{agents_at}, admin on http://{admin_at}",
            flush=True,
        )
        try:
            await self._until(stop, tasks)
            self._store.note_stop()
            await self._drain()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await agents.close()
            await self._shadows.close()
            await self._limits.close()
            await self._ship_the_rest()
            if self._otlp is not None:
                await asyncio.to_thread(self._otlp.close)
            await admin.cleanup()
            await self._upstream.close()
            await self._shadow_upstream.close()
            if self._store_of_limits is not None:
                await self._store_of_limits.close()
            for uplink in self._uplinks:
                await uplink.close()
            self._spool.close()

    def status(self) -> SidecarStatus:
        store = self._store
        state: SidecarState = "REJECTED" if store.error else "ACTIVE"
        return SidecarStatus(
            id=self.id,
            version=VERSION,
            state="STARTING" if store.current is None and not store.error else state,
            use_case=self._settings.use_case or "",
            agent=self._settings.agent,
            source=", ".join(_without_credentials(source) for source in self._settings.rules),
            seq=store.pointer.seq,
            tried=store.tried,
            fetched=store.fetched,
            active=store.active,
            error=store.error,
            spooled_records=self._spool.pending,
            started_at=self._started_at,
            quality_fallen=tuple(f"{name}: {model}" for name, model in self._pipeline.books.quality.all_fallen()),
        )

    def _told(self, settings: Settings) -> tuple[CallObserver, ...]:
        """Who else hears of finished calls."""
        log_of_calls = (CallLog(),) if settings.log_format == JSON else ()
        return log_of_calls if self._otlp is None else (*log_of_calls, self._otlp)

    def _target(self, model: str, provider: str) -> Target | None:
        targets = () if self._store.current is None else self._store.current.targets.get(model, ())
        return next((target for target in targets if target.provider == provider), None)

    def _ceilings_spent(self) -> Iterator[tuple[tuple[str, ...], float]]:
        use_cases = {} if self._store.current is None else self._store.current.use_cases
        day = datetime.fromtimestamp(self._clock.now(), UTC).date().isoformat()
        return (
            ((name, window), float(spent / limit))
            for name, use_case in use_cases.items()
            if use_case.ceiling is not None
            for window, limit, spent in _windows(use_case.ceiling, self._limits.spend(name, day))
        )

    def _not_ready(self) -> str:
        if self._draining:
            return "draining"
        return "" if self._store.current is not None else f"no rules yet {self._store.error}".strip()

    async def _follow_rules(self) -> None:
        await run_sources([self._source(name) for name in self._settings.rules], self._clock)

    async def _note_alive(self) -> None:
        while True:
            await self._clock.sleep(ALIVE_SECONDS)
            self._store.note_alive()

    def _source(self, name: str) -> Source:
        if is_url(name):
            uplink = next(uplink for uplink in self._uplinks if uplink.url == name.rstrip("/"))
            return ControllerSource(uplink, self._store, self._clock)
        path = Path(name)
        if path.is_dir() and (path / BUNDLE_FILE).exists():
            return FileSource(path / BUNDLE_FILE, self._store)
        return FolderSource(path, self._store) if path.is_dir() else FileSource(path, self._store)

    async def _first_rules(self) -> None:
        """A moment's wait: for any rules, and for fresh ones where those from disk may be old."""
        with contextlib.suppress(TimeoutError, UplinkFailed):
            async with asyncio.timeout(FIRST_RULES_SECONDS):
                if self._store.current is None:
                    await self._store.has_rules.wait()
                    return
                if not self._uplinks:
                    return
                polled = await self._uplinks[0].poll()
                if polled is not None:
                    await take(polled, self._uplinks[0], self._store)

    async def _listen_to_operators(self) -> tuple[web.AppRunner, Address]:
        app = admin_app(
            metrics=self._metrics,
            status=self.status,
            not_ready=self._not_ready,
            allowed_hosts=allowed_hosts(self._settings.admin.host, self._settings.allow_hosts),
        )
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await runner.setup()
        pass_over_odd_expectations(runner.server)
        await web.TCPSite(runner, self._settings.admin.host, self._settings.admin.port, reuse_address=True).start()
        return runner, Address(*runner.addresses[0][:2])

    async def _until(self, stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
        """Until asked to stop, or until a background task fails: that is a bug, and it must be seen."""
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done & set(tasks):
            task.result()

    async def _drain(self) -> None:
        """Not ready, still listening: an agent that stops after us finishes its calls."""
        self._draining = True
        self._shadows.stop_taking()
        end = self._clock.monotonic() + self._settings.drain_seconds
        while self._agents.calls_open and self._clock.monotonic() < end:
            await self._clock.sleep(0.02)
        self._agents.end_open_calls()

    async def _ship_the_rest(self) -> None:
        if not self._uplinks:
            return
        try:
            async with asyncio.timeout(LAST_SHIPMENT_SECONDS):
                await self._shipper().ship_all()
        except (TimeoutError, UplinkFailed, OSError) as error:
            log.warning("spool.kept pending=%d error=%s", self._spool.pending, error)

    def _shipper(self) -> Shipper:
        return Shipper(self._spool, self._uplinks[0], self._clock, self._limits)

    async def _recall_what_is_not_booked(self) -> None:
        """What the process before this one spent and nobody has booked yet counts against its budgets still."""
        for record in records_of(await asyncio.to_thread(lambda: list(self._spool.every_unshipped()))):
            self._limits.settle_money(record)

    def _add_gauges(self) -> None:
        gauge, store, spool = self._metrics.gauge, self._store, self._spool
        if (otlp := self._otlp) is not None:
            self._metrics.counter(
                "pointsman_otlp_dropped_total",
                "Not sent by OTLP: calls without room in the queue, spans that it did not take.",
                ("what",),
                lambda: {("calls",): float(otlp.dropped_calls), ("spans",): float(otlp.dropped_spans)},
            )
        gauge("pointsman_calls_open", "Calls being answered.", (), lambda: {(): float(self._agents.calls_open)})
        gauge(
            "pointsman_event_loop_lag_max_seconds", "How late the loop was at worst in the last minute.", (),
            lambda: {(): self._loop_lag.worst_seconds()},
        )  # fmt: skip
        gauge("pointsman_tasks", "Tasks of the event loop.", (), lambda: {(): float(len(asyncio.all_tasks()))})
        gauge("pointsman_spool_pending_records", "Not yet acknowledged.", (), lambda: {(): float(spool.pending)})
        gauge("pointsman_spool_bytes", "Of records on disk.", (), lambda: {(): float(spool.bytes_on_disk())})
        gauge("pointsman_spool_max_bytes", "The oldest go beyond it.", (), lambda: {(): float(MAX_SPOOL_BYTES)})
        self._metrics.counter(
            "pointsman_spool_dropped_records_total", "Lost to a full disk.", (),
            lambda: {(): float(spool.dropped_records)},
        )  # fmt: skip
        self._metrics.counter(
            "pointsman_spool_refused_records_total", "Set aside, never booked.", (),
            lambda: {(): float(spool.refused_records)},
        )  # fmt: skip
        gauge(
            "pointsman_ceiling_spent_ratio", "What the fleet has spent of a cost ceiling; 1: all of it.",
            ("use_case", "window"), self._ceilings_spent,
        )  # fmt: skip
        gauge(
            "pointsman_rules_last_reload_successful", "1 when the newest rules run.", (),
            lambda: {(): float(not store.error)},
        )  # fmt: skip
        gauge(
            "pointsman_rules_active_info", "The bundle that runs.", ("digest", "revision"),
            lambda: {(store.active.digest, store.active.revision): 1.0},
        )  # fmt: skip
        gauge(
            "pointsman_targets_resting", "Targets that are not tried now.", ("target", "reason"),
            lambda: dict.fromkeys(self._pipeline.books.health.resting(self._clock.monotonic()).items(), 1.0),
        )  # fmt: skip
        gauge(
            "pointsman_quality_fallen", "Models that give way for the quality of their answers.", ("use_case", "model"),
            lambda: dict.fromkeys(self._pipeline.books.quality.all_fallen(), 1.0),
        )  # fmt: skip
        gauge(
            "pointsman_provider_keys_resting", "Keys of providers that rest after 401, 403 or 429.", ("provider",),
            lambda: {(provider,): float(count) for provider, count in self._upstream.keys_resting().items()},
        )  # fmt: skip


def _windows(ceiling: Ceiling, spend: Spend) -> Iterator[tuple[str, Decimal, Decimal]]:
    """Name, lowest amount and what is spent of each window that has an amount."""
    for window, amounts, spent in (
        ("day", (ceiling.per_day, ceiling.hard.per_day), spend.per_day),
        ("month", (ceiling.per_month, ceiling.hard.per_month), spend.per_month),
    ):
        known = [amount for amount in amounts if amount]
        if known:
            yield window, min(known), spent


def _otlp(sidecar: str, target_of: "TargetOf", settings: OtelSettings) -> "OtlpCalls":
    from sidecar.telemetry.otlp import OtlpCalls

    return OtlpCalls(sidecar, target_of, settings)


def identity(state: Path) -> str:
    """This sidecar's name in the fleet: made once, kept in its state folder."""
    path = state / "id"
    if not path.exists():
        write_durably(path, f"{socket.gethostname()}-{os.urandom(4).hex()}\n".encode())
    return path.read_text(encoding="utf-8").strip()


def _limit_store(url: str | None, sidecar: str, clock: SystemClock) -> RedisStore | None:
    """Its name at the store is new for each process: what an earlier one holds is not this one's."""
    return None if url is None else RedisStore(url, f"{sidecar}-{os.urandom(4).hex()}", clock)


def _client(settings: Settings, clock: SystemClock, *, proxied: bool) -> HttpClient:
    """Ours speaks to no proxy; aiohttp's does."""
    is_own = settings.upstream_client == OWN_CLIENT and not proxied
    return OwnClient(clock) if is_own else AiohttpClient(trust_env=proxied)


def _without_credentials(source: str) -> str:
    scheme, separator, rest = source.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if separator else source


async def serve(settings: Settings) -> None:
    logging.getLogger("aiohttp.server").addFilter(UnreadableRequests())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Sidecar(settings).run(stop)
