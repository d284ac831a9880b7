"""The demo's story, step by step. Every sentence about what happened is checked before it is said."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from controller.demo.calls import Ask, Reply, anthropic_ask, curl_line, fetch, openai_ask, send
from controller.demo.cast import DEAD_END, Cast, Vendor
from controller.demo.narration import Style, Terminal, shell_line
from controller.demo.repository import SUPPORT, Repository
from controller.demo.settings import DemoSettings
from controller.demo.stage import SMALL_MODEL, Stage
from schemas.problems import Problem

QUESTION = "How do I reset my password?"
TICKET = "Write a short title: the October invoice was sent twice."
ANSWER_TOKENS = 80
REAL_VENDOR_TOKENS = 600
"""Models that think first spend tokens before the first word."""
FOLLOW_SECONDS = 20.0  # a busy machine; an idle one takes a fraction of a second
LOOK_SECONDS = 0.005


class StoryFailed(Exception):
    """Something did not happen that the story says; the text names it."""


@dataclass(slots=True)
class Story:
    settings: DemoSettings
    cast: Cast
    terminal: Terminal
    stage: Stage
    repository: Repository = field(init=False)
    calls_made: int = 0
    calls_shown: list[Ask] = field(default_factory=list)

    def tell(self, repository_of: Callable[[], Repository]) -> None:
        """Raises `StoryFailed`, and what the parts raise."""
        self._introduce()
        self._rules(repository_of)
        self._programs()
        self._routed_calls()
        self._outage()
        self._live_rules()
        self._books()

    def _introduce(self) -> None:
        self.terminal.say(
            "Pointsman routes every model call by use case. This demo runs all of it on 127.0.0.1; each command below "
            "is one that you could type yourself, and what stands under it really came back, cut to what matters."
        )
        simulated = [vendor for vendor in self.cast.vendors if vendor.is_simulated]
        if simulated:
            names = " and ".join(vendor.title for vendor in simulated)
            keys = " or ".join(vendor.variable for vendor in simulated)
            self.terminal.say(
                f"On stage: {names}, programs that speak the vendors' APIs and behind which no model answers, for "
                f"there is no {keys} in the environment."
            )
        for vendor in self.cast.vendors:
            if not vendor.is_simulated:
                self.terminal.say(
                    f"{vendor.variable} is set: {vendor.title} is the real one, and calls to {vendor.model} cost money "
                    "on that account (a dozen short calls at most)."
                )

    def _rules(self, repository_of: Callable[[], Repository]) -> None:
        self.terminal.heading(1, "Rules live in git")
        self.repository = repository_of()
        folder = self.repository.folder
        self.terminal.say("A rules repository: providers, models with prices, use cases, and tests of the routes.")
        self._go_to(folder)
        self.terminal.command("git ls-files")
        self.terminal.output(self.repository.git("ls-files"))
        self.terminal.command(f"cat {SUPPORT}")
        self.terminal.output((folder / SUPPORT).read_text(encoding="utf-8"))
        if self.stage.run(["check"], folder=folder):
            raise StoryFailed("the demo's own rules have problems")

    def _programs(self) -> None:
        self.terminal.heading(2, "Providers, controller, sidecar")
        self._go_to(self.stage.children.folder)
        simulated = [vendor for vendor in self.cast.vendors if vendor.is_simulated]
        if simulated:
            self.terminal.say("The simulated vendors, each a process of its own:")
        for vendor in simulated:
            self.stage.start_vendor(vendor)
        if self.cast.small_model_missing:
            self.terminal.say(
                f"No real model plays this time ({self.cast.small_model_missing}). `make demo` installs engine and "
                "weights. The story goes on without it: its target is simply down."
            )
        else:
            self.terminal.say("A real small model, SmolLM2-135M-Instruct, through llama.cpp's server:")
            self.stage.start_small_model()
        self.terminal.say("The controller reads the repository; the sidecar follows the controller:")
        self.stage.start_controller(self.repository.folder)
        self.stage.wait()
        self.stage.start_sidecar()
        self.stage.wait()
        self.terminal.result(f"Up: agents call {self.settings.agents_url}")

    def _routed_calls(self) -> None:
        first = self.cast.openai
        self.terminal.heading(3, "Calls are routed by use case")
        self.terminal.say(
            'An agent that has always asked for "gpt-4o" changes its base URL and nothing else. The name is an alias '
            "of the use case customer-support; the rules decide who answers."
        )
        self._call(self._question("gpt-4o"), first.model)
        self.terminal.result(f"{first.model} answered, the primary.")
        self.terminal.say("The same, streamed. The cost comes in the last usage event:")
        reply = self._call(self._question("gpt-4o", stream=True), first.model)
        self.terminal.result(f"cost_usd {reply.cost_usd} for this answer.")
        self.terminal.say(
            f"Another agent uses Anthropic's SDK. The same use case, so the same model: {first.title} answers, and the "
            "agent gets its own dialect."
        )
        self._call(anthropic_ask(QUESTION, model="claude-sonnet-4-6", max_tokens=self._tokens), first.model)
        self.terminal.result(f"An Anthropic Messages call, answered by {first.provider}, which speaks OpenAI's.")
        self.terminal.say("A use case of another kind: titles for tickets come from the model on this machine first.")
        model = self.cast.anthropic.model if self.cast.small_model_missing else SMALL_MODEL
        self._call(openai_ask(TICKET, model="ticket-titles", max_tokens=16), model)
        self.terminal.result(self._small_model_words("wrote that title"))

    def _outage(self) -> None:
        first, second = self.cast.vendors
        self.terminal.heading(4, "The primary dies")
        self._take_down(first)
        self._call(self._question("gpt-4o"), second.model)
        self.terminal.result(f"The fallback answered: {second.model}. The agent saw no error.")
        if self.cast.small_model_missing:
            self.terminal.say(
                "The second vendor is left alone: without a real model here nobody would be left to answer."
            )
            self._bring_back(first)
            self.stage.wait()
            return
        self.terminal.say("Now the second vendor as well. What is left is the small model, and it really answers:")
        self._take_down(second)
        self._call(self._question("gpt-4o"), SMALL_MODEL)
        self.terminal.result(self._small_model_words("wrote that"))
        self._bring_back(first)
        self._bring_back(second)
        self.stage.wait()

    def _live_rules(self) -> None:
        first, second = self.cast.vendors
        self.terminal.heading(5, "A commit changes the route")
        self.terminal.say(f"Customers shall be answered by {second.model} from now on:")
        self._go_to(self.repository.folder)
        self._edit_support(second.model, first.model)
        self._commit_and_follow("Answer customers with the other vendor first")
        self._call(self._question("gpt-4o"), second.model)
        self.terminal.result(f"The next call was answered by {second.model}, now the primary.")

        self.terminal.say("Somebody commits a typing error:")
        typo = second.model[:-2] + second.model[-1] + second.model[-2]
        self._edit_support(typo, first.model)
        if not self.stage.run(["check"], folder=self.repository.folder):
            raise StoryFailed("the broken rules passed the check")
        revision = self._commit("Oops")
        self._refused(revision)
        self._call(self._question("gpt-4o"), second.model)
        self.terminal.result(f"Nothing changed: {second.model} still answers.")

        self.terminal.say("And repairs it, with the first model back in its place:")
        self._edit_support(first.model, second.model)
        self._commit_and_follow("Back to the first model")
        self._call(self._question("gpt-4o"), first.model)
        self.terminal.result(f"{first.model} answers again.")

    def _books(self) -> None:
        self.terminal.heading(6, "Every call is on the books")
        url = f"{self.settings.controller_url}/v1/usage?by=use_case,model"
        self._wait("the ledger to hold every call", lambda: _requests(url) >= self.calls_made)
        controller = self.settings.controller_url
        self.stage.run(["usage", "--by", "use_case,model", "--controller", controller], keys=2)
        if self.cast.costs_money:
            self.terminal.result("Prices of real models are those in the rules; prices of simulated ones are made up.")
        else:
            self.terminal.result("The simulated models' prices are the demo's own; the local model's is zero.")
        self.terminal.say("And which sidecar runs what:")
        self.stage.run(["fleet", "--controller", controller], keys=1)

    def _call(self, ask: Ask, expected_model: str) -> Reply:
        same = ask in self.calls_shown
        self.terminal.command("curl …  # the first call again" if same else curl_line(self.settings.agents_url, ask))
        self.calls_shown.append(ask)
        with self.terminal.pieces() as show:
            reply = send(self.settings.agents_url, ask, show)
        self.calls_made += 1
        self.terminal.output(f"HTTP {reply.status} after {reply.seconds:.2f} s\n{reply.shown_headers}", Style.QUIET)
        if not ask.is_streamed:
            self.terminal.output(reply.text.strip() or "(an empty answer)")
        if reply.model != expected_model:
            raise StoryFailed(f"{reply.model} answered where {expected_model} should have")
        return reply

    def _question(self, model: str, *, stream: bool = False) -> Ask:
        return openai_ask(QUESTION, model=model, max_tokens=self._tokens, stream=stream)

    @property
    def _tokens(self) -> int:
        return REAL_VENDOR_TOKENS if self.cast.costs_money else ANSWER_TOKENS

    def _small_model_words(self, did: str) -> str:
        if self.cast.small_model_missing:
            return f"No real model here: the fallback {self.cast.anthropic.model} answered."
        return (
            f"A real model {did}: SmolLM2, 135 million parameters, on this machine. It costs nothing and knows little."
        )

    def _take_down(self, vendor: Vendor) -> None:
        """A simulated vendor's process is killed; the real one is out of reach by a commit of a dead address."""
        if vendor.is_simulated:
            self.stage.kill(vendor)
            return
        self.terminal.say(
            f"{vendor.title} cannot be killed from here: a commit points its base URL where nobody listens."
        )
        self._go_to(self.repository.folder)
        self.repository.edit(f"providers/{vendor.provider}.yaml", "base_url:", f"base_url: {DEAD_END}")
        self._commit_and_follow(f"Rehearse an outage of {vendor.title}")

    def _bring_back(self, vendor: Vendor) -> None:
        self.terminal.say(f"{vendor.title[0].upper()}{vendor.title[1:]} comes back:")
        if vendor.is_simulated:
            self.stage.start_vendor(vendor)
            return
        self.repository.edit(f"providers/{vendor.provider}.yaml", "base_url:", f"base_url: {vendor.base_url}")
        self._commit_and_follow(f"End the rehearsal at {vendor.title}")

    def _go_to(self, folder: Path) -> None:
        self.terminal.command(shell_line(["cd", str(folder)]))

    def _edit_support(self, primary: str, fallback: str) -> None:
        self.repository.edit(SUPPORT, "primary:", f"primary: {primary}")
        self.repository.edit(SUPPORT, "fallbacks:", f"fallbacks: [{fallback}, {SMALL_MODEL}]")

    def _commit(self, message: str) -> str:
        self.terminal.command("git diff --unified=0")
        self.terminal.output(self.repository.changes())
        self.terminal.command(f"git commit --all -m '{message}'")
        return self.repository.commit(message)

    def _commit_and_follow(self, message: str) -> None:
        revision = self._commit(message)
        committed = time.monotonic()
        self._wait("the sidecar to follow", lambda: _active_revision(self.settings.admin_url) == revision)
        seconds = time.monotonic() - committed
        self.terminal.result(f"The sidecar runs commit {revision[:12]}, {seconds:.2f} s after git was done.")

    def _refused(self, revision: str) -> None:
        """The controller names the problem, and the sidecar still runs what it ran."""
        url = f"{self.settings.controller_url}/v1/problems"
        self._wait("the controller to look at the commit", lambda: fetch(url)["revision"] == revision)
        report = fetch(url)
        self.terminal.command(f"curl {url}")
        for problem in report["problems"]:
            self.terminal.output(str(Problem(**problem)), Style.BAD)
        active = _active_revision(self.settings.admin_url)
        if not report["problems"] or active != report["active_revision"] or active == revision:
            raise StoryFailed("the broken commit was not refused")
        self.terminal.result(f"Refused. Controller and sidecar still run {active[:12]}, the last good commit.")

    def _wait(self, what: str, happened: Callable[[], bool]) -> None:
        """Raises `StoryFailed` when it does not happen in time."""
        deadline = time.monotonic() + FOLLOW_SECONDS
        with self.terminal.progress(f"waiting for {what}") as tick:
            while not happened():
                if time.monotonic() > deadline:
                    raise StoryFailed(f"waited {FOLLOW_SECONDS:.0f} s for {what}")
                tick()
                time.sleep(LOOK_SECONDS)


def _requests(url: str) -> int:
    return sum(int(row["requests"]) for row in fetch(url)["rows"])


def _active_revision(admin_url: str) -> str:
    return str(fetch(f"{admin_url}/status").get("active", {}).get("revision", ""))
