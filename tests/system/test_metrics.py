"""Every metric of both programs, as they answer: named by convention, and on the page that explains them."""

import re
from typing import NamedTuple

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import wire
from tests.fakes.controller import StartController
from tests.fakes.metric_lint import lint
from tests.fakes.processes import REPOSITORY, eventually
from tests.fakes.promtool import needs_promtool, promtool
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.system.rules import Door, files, use_case

PAGE = REPOSITORY / "schemas" / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(pointsman_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
RULES = (
    "limits: {requests_per_minute: 600}\ncost_ceiling: {per_day: 1, then: [beta]}\nquality_bar: {checks: [complete]}\n"
    "review: {by: 2020-01-01}\n"
)


class Scrapes(NamedTuple):
    texts: dict[str, str]
    """By program, as they came."""
    sidecar: list[Metric]
    controller: list[Metric]


@pytest.fixture(scope="module")
def scrapes(
    tmp_path_factory: pytest.TempPathFactory,
    start_controller: StartController,
    start_sidecar: StartSidecar,
    start_simulator: StartSimulator,
) -> Scrapes:
    simulator = start_simulator()
    simulator.fault({"status": 503}, model="alpha-*")
    repo = RulesRepo(tmp_path_factory.mktemp("rules"))
    doors = [Door("alpha", "openai", simulator.url), Door("beta", "anthropic", simulator.url)]
    repo.commit(files(doors, {"support": use_case("alpha", "beta", more=RULES)}))
    controller = start_controller(repo.path)
    controller.child.wait_for("revision.accepted")
    quiet = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    options = ["--controller-token", str(controller.token_file), "--otel", "on"]
    sidecar = start_sidecar(controller.url, options=options, environment=quiet)
    hello = {"model": "support", "messages": [{"role": "user", "content": "Hello."}]}
    for body, status in [(hello, 200), (hello | {"stream": True}, 200), ({"model": "support"}, 400)]:
        assert wire.post(f"{sidecar.url}/v1/chat/completions", body).status == status
    eventually(lambda: sidecar.status().spooled_records == 0)
    texts = {"sidecar": sidecar.metrics(), "controller": wire.get(f"{controller.url}/metrics").body.decode()}
    return Scrapes(texts, *(list(text_string_to_metric_families(text)) for text in texts.values()))


def full_name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def test_names_units_and_labels_are_as_prometheus_asks(scrapes: Scrapes) -> None:
    assert list(lint([*scrapes.sidecar, *scrapes.controller])) == []


@needs_promtool
@pytest.mark.parametrize("program", ["sidecar", "controller"])
def test_promtool_finds_nothing_to_say(scrapes: Scrapes, program: str) -> None:
    checked = promtool("check", "metrics", text=scrapes.texts[program])
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.parametrize("program", ["sidecar", "controller"])
def test_the_page_explains_each_metric_and_no_other(scrapes: Scrapes, program: str) -> None:
    section = PAGE.read_text(encoding="utf-8").split(f"## {program.capitalize()}\n")[1].split("\n## ")[0]
    rows = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(section)}
    metrics = {full_name(metric): metric for metric in getattr(scrapes, program)}
    assert rows.keys() == metrics.keys()
    for name, metric in metrics.items():
        kind, labels = rows[name]
        assert kind == metric.type, name
        for sample in metric.samples:
            assert labels == sample.labels.keys() - {"le"}, name


def test_what_the_rules_say_can_be_watched(scrapes: Scrapes) -> None:
    by_name = {full_name(metric): metric for metric in [*scrapes.sidecar, *scrapes.controller]}
    (spent,) = by_name["pointsman_ceiling_spent_ratio"].samples
    assert spent.labels == {"use_case": "support", "window": "day"}
    assert 0 < spent.value < 1
    (overdue,) = by_name["pointsman_review_overdue"].samples
    assert (overdue.labels, overdue.value) == ({"use_case": "support"}, 1)
    assert by_name["pointsman_spool_bytes"].samples[0].value > 0
