"""Wires the controller: builds every part once, owns the order of start and stop."""

import asyncio
import fcntl
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from controller import logs
from controller.access.door import Door
from controller.access.people import People
from controller.access.tls import renew_certificate, server_context
from controller.api.routes import build_api
from controller.canaries.steps import CanarySteps
from controller.errors import CannotStart, LedgerUnavailable
from controller.evals.proofs import problems_against_running
from controller.fleet import Roster
from controller.folder import Folder
from controller.git import LocalRepository, RemoteRepository, git_folder, is_repository, is_url
from controller.history import History
from controller.inject.server import Injection, start_webhook
from controller.kept.database import SharedState
from controller.kept.folder import StateFolder
from controller.known_source import KnownSource, note_source, recall_source
from controller.ledger.database import database_at
from controller.ledger.retention import keep_calls
from controller.ledger.store import Ledger
from controller.metrics import Metrics
from controller.parts import Parts, WatchTimes
from controller.publish import Publisher
from controller.reconcile import Reconciler
from controller.ruletests import rule_test_problems
from controller.scoped import ScopedRules
from controller.settings import ServeSettings
from controller.sign import KEY_FILE, PUBLIC_FILE, load_signer, save_public_key
from controller.stages import Stages
from controller.together import follow, share_roster
from controller.tokens import load_hook_secret, load_tokens
from controller.tree import Source
from schemas.expectations import pass_over_odd_expectations
from schemas.hosts import allowed_hosts, is_loopback
from schemas.load import load

SHUTDOWN_SECONDS: Final = 1.0
"""What is left of open requests after this is cut."""


DEFAULT_WATCH_TIMES: Final = WatchTimes()


@dataclass(frozen=True, slots=True)
class Running:
    parts: Parts
    url: str
    following: tuple[asyncio.Task[None], ...]
    """Take up revisions, and what other controllers publish; end only by a fault of ours, or `ForeignKey`."""


async def serve(settings: ServeSettings) -> None:
    """Runs until SIGTERM or SIGINT.

    Raises:
        CannotStart: a setting, a file or the address does not allow it.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as controller:
        logs.event(
            "controller.listening", url=controller.url, source=controller.parts.source.name, state=settings.state
        )
        for task in controller.following:
            task.add_done_callback(lambda ended: stop.set())
        await stop.wait()
        logs.event("controller.stopping")
        for task in controller.following:
            if task.done():
                task.result()


@asynccontextmanager
async def running(settings: ServeSettings, *, watch_times: WatchTimes = DEFAULT_WATCH_TIMES) -> AsyncIterator[Running]:
    """A controller that listens and follows its source while the block runs."""
    with _sole_user_of(settings.state):
        parts = build_parts(settings, watch_times)
        tls = None if settings.tls_cert is None else server_context(
            settings.tls_cert, settings.tls_key, settings.client_ca
        )  # fmt: skip
        runner = web.AppRunner(
            build_api(parts), handler_cancellation=True, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
        )
        await runner.setup()
        pass_over_odd_expectations(runner.server)
        webhook: web.AppRunner | None = None
        try:
            with suppress(LedgerUnavailable):  # `follow` does it when the database is back
                await parts.publisher.sign_anew()
            url = await _listen(runner, settings, tls)
            inject_tls: ssl.SSLContext | None = None
            if settings.inject is not None and settings.inject_cert is not None:
                inject_tls = server_context(settings.inject_cert, settings.inject_key, None)
                at = Injection(settings.inject, settings.inject_host, settings.inject_port)
                webhook = await start_webhook(at, inject_tls)
            following = [asyncio.create_task(parts.reconciler.run(), name="reconcile")]
            staging = asyncio.create_task(parts.stages.run(), name="stages")
            keeping = asyncio.create_task(
                keep_calls(parts.ledger, settings.keep_calls_days, time.time), name="keep-calls"
            )
            canaries = asyncio.create_task(parts.canaries.run(), name="canaries")
            tasks = {staging, keeping, canaries}
            if parts.publisher.is_shared:
                follows = follow(parts.publisher, parts.reconciler.look_again)
                following.append(asyncio.create_task(follows, name="follow"))
                tasks.add(asyncio.create_task(share_roster(parts.roster, parts.ledger, time.time), name="roster"))
            tasks |= {*following}
            if inject_tls is not None and settings.inject_cert is not None:
                renewal = renew_certificate(inject_tls, settings.inject_cert, settings.inject_key)
                tasks.add(asyncio.create_task(renewal, name="inject-tls"))
            if tls is not None and settings.tls_cert is not None:
                tasks.add(asyncio.create_task(renew_certificate(tls, settings.tls_cert, settings.tls_key), name="tls"))
            try:
                yield Running(parts, url, tuple(following))
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
        finally:
            parts.publisher.close()
            if webhook is not None:
                await webhook.cleanup()
            await runner.cleanup()
            await asyncio.to_thread(parts.ledger.close)


def build_parts(settings: ServeSettings, watch_times: WatchTimes) -> Parts:
    """Reads or makes what lies in the state folder. Raises `CannotStart`."""
    state = settings.state
    source = source_of(settings)
    signer = load_signer(settings.signing_key or state / KEY_FILE, make=settings.signing_key is None)
    save_public_key(state / PUBLIC_FILE, signer)
    tokens = load_tokens(settings.tokens or state, make=settings.tokens is None)
    hook_secret = None if settings.hook_secret is None else load_hook_secret(settings.hook_secret)
    is_private = is_loopback(settings.listen_host) and settings.tokens is None and settings.access is None
    door = Door(tokens, settings.access, is_open_to_readers=is_private)
    database = database_at(settings.database_url, state / "ledger.db")
    roster = Roster(time.time, is_shared=database.is_shared)
    ledger = Ledger(database, now=time.time, live_sidecars=roster.alive)
    if database.is_shared:
        _warn_of_own_keys(settings)
    kept = SharedState(ledger, now=time.time) if database.is_shared else StateFolder(state, epoch=int(time.time()))
    publisher = Publisher(kept, signer)
    try:
        with suppress(LedgerUnavailable):  # `follow` reads it when the database is there
            publisher.restore()
    except CannotStart:
        ledger.close()
        raise
    metrics = Metrics(publisher, lambda: roster.fleet(publisher.pointer), lambda: ledger.health)
    stages = Stages(publisher, roster, ledger, now=time.time)
    reconciler = Reconciler(
        source, publisher, load=load, rule_tests=rule_test_problems, before_publish=ledger.remember,
        now=time.time, on_outcome=metrics.note_revision, offer=stages.offer,
        evidence=problems_against_running,
    )  # fmt: skip
    metrics.tell_reviews(reconciler.overdue_reviews)
    return Parts(
        source=source, history=History(source), publisher=publisher, scoped=ScopedRules(publisher, signer),
        reconciler=reconciler, stages=stages, canaries=CanarySteps(publisher, ledger, now=time.time),
        roster=roster, ledger=ledger,
        tokens=tokens, door=door, metrics=metrics,
        people=People(tokens, header=settings.identity_header, proxies=settings.identity_proxies),
        allowed_hosts=allowed_hosts(settings.listen_host, settings.allow_hosts), now=time.time, watch_times=watch_times,
        hook_secret=hook_secret, playground=settings.playground_sidecar,
    )  # fmt: skip


def _warn_of_own_keys(settings: ServeSettings) -> None:
    for flag, given, otherwise in (
        ("--signing-key", settings.signing_key, "one with another key does not start"),
        ("--tokens", settings.tokens, "with others it refuses the sidecars and the people that this one lets in"),
    ):
        if given is None:
            logs.warn("controller.own_key", flag=flag, state=settings.state,
                      hint=f"a second controller on this database needs the same {flag}: {otherwise}")  # fmt: skip


def source_of(settings: ServeSettings) -> Source:
    """A URL is mirrored, a local repository is read at its ref, a plain folder is watched. Raises `CannotStart`."""
    repo = settings.repo.removeprefix("file://")
    signers = settings.allowed_signers and settings.allowed_signers.absolute()
    if signers is not None and not signers.is_file():
        raise CannotStart(f"--require-signed: no file {signers}")
    if is_url(repo):
        mirror = settings.state / "mirror.git"
        return RemoteRepository(
            repo, mirror, ref=settings.ref, folder=settings.path, poll_seconds=settings.poll_seconds, signers=signers
        )
    path = Path(repo).expanduser().absolute()
    known = _known_source(settings.state, path)
    if known.git:
        git = Path(known.git)
        return LocalRepository(path, ref=settings.ref, folder=settings.path, signers=signers, git=git)
    if signers is not None:
        raise CannotStart("--require-signed needs a git repository: a plain folder has no commits to be signed")
    return Folder(path / settings.path)


def _known_source(state: Path, path: Path) -> KnownSource:
    """What lies there, or lay there when this controller last started. Raises `CannotStart`: nothing ever did."""
    if path.is_dir():
        known = KnownSource(str(path), str(git_folder(path)) if is_repository(path) else "")
        try:
            note_source(state, known)
        except OSError as error:
            logs.warn("source.not_noted", state=state, error=error.strerror)
        return known
    remembered = recall_source(state, path)
    if remembered is None:
        raise CannotStart(f"--repo: no folder {path}")
    logs.warn("source.away", repo=path, hint="what ran before goes on until it is back")
    return remembered


async def _listen(runner: web.AppRunner, settings: ServeSettings, tls: ssl.SSLContext | None) -> str:
    try:
        site = web.TCPSite(runner, settings.listen_host, settings.listen_port, backlog=1024, ssl_context=tls)
        await site.start()
    except OSError as error:
        raise CannotStart(
            f"cannot listen on {settings.listen_host}:{settings.listen_port}: {error.strerror}"
        ) from error
    host, port, *_ = runner.addresses[0]
    scheme = "http" if tls is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@contextmanager
def _sole_user_of(state: Path) -> Iterator[None]:
    """Holds the state folder's lock: two controllers on one folder would hand out one sequence twice."""
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotStart(f"cannot use the state folder {state}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotStart(f"another controller uses the state folder {state}") from error
        yield
    finally:
        os.close(handle)
