"""The chart, rendered by the real Helm 3 and 4 and held against Kubernetes' own schemas; and what it refuses."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.inject.template import parse_template
from controller.settings import SERVE_OPTIONS
from tests.charts import dashboard, values_table
from tests.charts.engine import CHART, KUBERNETES, NOT_INSTALLED, OPERATORS, PACKAGES, Refused, helm, render, run
from tests.fakes.processes import REPOSITORY

SECRETS = {"signingKey": {"existingSecret": "signing"}, "tokens": {"existingSecret": "tokens"}}
REPO = {"rules": {"repo": "https://git.example.com/rules.git"}}
SMALL = {"controller": REPO | SECRETS}
LARGE = {
    "global": {"imageRegistry": "registry.example.com", "imagePullSecrets": ["pull"]},
    "controller": {
        **SECRETS,
        "rules": {"existingSecret": "git", "hookSecret": "hook", "allowedSigners": "signers"},
        "replicas": 3,
        "database": {"existingSecret": "postgres"},
        "tls": {"existingSecret": "tls", "clientCaSecret": "client-ca"},
        "access": {
            "kubernetes": {
                "enabled": True,
                "serviceAccounts": [{"namespace": "team-*", "name": "*", "use_cases": ["support"]}],
            }
        },
        "networkPolicy": {"enabled": True, "from": [{"namespaceSelector": {"matchLabels": {"agents": "true"}}}]},
    },
    "sidecar": {"redis": {"existingSecret": "redis"}, "controllerCaSecret": "ca", "providerKeys": ["keys"]},
    "inject": {"enabled": True},
    "monitoring": {
        name: {"enabled": True} for name in ("serviceMonitor", "podMonitor", "prometheusRule", "dashboards")
    },
}  # fmt: skip
SSH = {"controller": SECRETS | {"rules": {"repo": "git@git.example.com:rules.git", "sshSecret": "ssh"}}}
VALUES = {"small": SMALL, "large": LARGE, "ssh": SSH}


@pytest.fixture(scope="module", params=sorted(PACKAGES))
def binary(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return helm(request.param, tmp_path_factory.mktemp("helm"))


@pytest.mark.parametrize("name", sorted(VALUES))
def test_what_it_makes_is_what_kubernetes_takes(binary: Path, tmp_path: Path, name: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason=NOT_INSTALLED)
    documents = render(binary, VALUES[name], tmp_path)
    assert len({(one["kind"], one["metadata"]["name"]) for one in documents}) == len(documents)
    for document in documents:
        for version in KUBERNETES:
            if document["kind"] not in OPERATORS:
                validate.validate(document, version, strict=True)
    run(binary, "lint", "--strict", str(CHART), "--values", str(tmp_path / "values.yaml"))


def test_every_container_is_bound_and_no_secret_is_written(binary: Path, tmp_path: Path) -> None:
    documents = render(binary, LARGE, tmp_path)
    for container in containers(documents):
        assert container["securityContext"] == {
            "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }  # fmt: skip
        assert container["resources"]["requests"]
        assert container["image"].startswith("registry.example.com/pointsman/")
    secrets = [one["metadata"]["name"] for one in documents if one["kind"] == "Secret"]
    assert secrets == ["release-pointsman-inject-tls"], "made by the chart; all others exist"


def test_several_controllers_share_a_database_and_one_keeps_a_volume(binary: Path, tmp_path: Path) -> None:
    large, small = by_kind(render(binary, LARGE, tmp_path)), by_kind(render(binary, SMALL, tmp_path))
    assert large["Deployment"]["spec"]["strategy"]["type"] == "RollingUpdate"
    assert small["Deployment"]["spec"]["strategy"]["type"] == "Recreate"
    assert ("PodDisruptionBudget" in large, "PersistentVolumeClaim" in large) == (True, False)
    assert ("PodDisruptionBudget" in small, "PersistentVolumeClaim" in small) == (False, True)
    state = {volume["name"]: volume for volume in large["Deployment"]["spec"]["template"]["spec"]["volumes"]}["state"]
    assert "emptyDir" in state
    assert small.keys() == {"Deployment", "PersistentVolumeClaim", "Pod", "Service", "ServiceAccount"}


def test_variables_are_those_that_serve_reads(binary: Path, tmp_path: Path) -> None:
    known = {option.variable for option in SERVE_OPTIONS}
    for values in VALUES.values():
        deployment = by_kind(render(binary, values, tmp_path))["Deployment"]
        (controller,) = deployment["spec"]["template"]["spec"]["containers"]
        names = {one["name"] for one in controller["env"] if one["name"].startswith("POINTSMAN_")}
        assert names <= known


def test_the_webhook_is_sent_only_pods_that_ask_and_gives_what_the_template_says(binary: Path, tmp_path: Path) -> None:
    documents = render(binary, LARGE, tmp_path)
    (webhook,) = by_kind(documents)["MutatingWebhookConfiguration"]["webhooks"]
    assert webhook["objectSelector"] == {"matchLabels": {"pointsman/inject": "true"}}
    assert webhook["namespaceSelector"]["matchExpressions"][0]["values"] == ["kube-system", "pointsman"]
    assert webhook["clientConfig"]["caBundle"] == by_kind(documents)["Secret"]["data"]["ca.crt"]
    (config,) = [one for one in documents if one["metadata"]["name"] == "release-pointsman-inject"]
    template = parse_template(config["data"]["sidecar.yaml"])
    assert template.sidecar["restartPolicy"] == "Always"
    mounted = {mount["name"] for mount in template.sidecar["volumeMounts"]}
    assert mounted == {volume["name"] for volume in template.volumes}
    assert {one["name"] for one in template.env} >= {"OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"}


def test_an_agents_own_chart_needs_three_lines(binary: Path, tmp_path: Path) -> None:
    readme = (CHART / "README.md").read_text()
    snippet = re.search(r"```yaml\n(spec:\n.*?)```", readme, re.DOTALL)
    assert snippet is not None
    assert snippet[1].count("include ") == 3
    chart = tmp_path / "agent"
    (chart / "templates").mkdir(parents=True)
    (chart / "charts").mkdir()
    (chart / "charts" / "pointsman").symlink_to(CHART)
    (chart / "Chart.yaml").write_text(
        "apiVersion: v2\nname: agent\nversion: 1.0.0\ndependencies: [{name: pointsman, version: '>=0'}]\n"
    )
    (chart / "templates" / "pod.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: agent}\n"
        + snippet[1].replace("- name: agent\n", "- name: agent\n      image: agent:1\n")
    )
    own = {"controller": {"enabled": False}, "sidecar": {"controllerUrl": "http://pointsman.pointsman.svc:4200"}}
    (pod,) = [one for one in render(binary, {"pointsman": own}, tmp_path, chart=chart) if one["kind"] == "Pod"]
    (sidecar,) = pod["spec"]["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert {"name": "POINTSMAN_RULES", "value": "http://pointsman.pointsman.svc:4200"} in sidecar["env"]
    validate = pytest.importorskip("kubernetes_validate", reason=NOT_INSTALLED)
    validate.validate(pod, KUBERNETES[0], strict=True)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "signingKey"),
        ({"controller": SECRETS}, "repo"),
        ({"controller": REPO | SECRETS, "contoller": {}}, "contoller"),
        ({"controller": REPO | SECRETS | {"replicas": 0}}, "replicas"),
        ({"controller": REPO | SECRETS | {"replicas": 3}}, "database"),
        ({"controller": REPO | SECRETS | {"replicas": "two"}}, "replicas"),
        ({"controller": SECRETS | {"rules": {"repo": "https://user:token@git.example.com/r.git"}}}, "repo"),
        ({"controller": REPO | SECRETS | {"keepCalls": "90"}}, "keepCalls"),
        ({"controller": REPO | SECRETS, "sidecar": {"apiKey": "sk-1"}}, "apiKey"),
        ({"controller": REPO | SECRETS, "inject": {"failurePolicy": "Maybe"}}, "failurePolicy"),
    ],
)
def test_wrong_values_are_refused_by_the_schema(
    binary: Path, tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match="don't meet the specifications of the schema") as refused:
        render(binary, values, tmp_path)
    assert said in str(refused.value)


def test_what_it_holds_of_other_files_is_theirs() -> None:
    alerts = "pointsman.rules.yaml"
    assert (CHART / "files/alerts" / alerts).read_bytes() == (REPOSITORY / "examples/alerts" / alerts).read_bytes()
    assert (CHART / "files/dashboards/pointsman.json").read_text() == dashboard.text()
    readme, values = (CHART / "README.md").read_text(), (CHART / "values.yaml").read_text()
    assert values_table.with_table(readme, values) == readme, "run `python -m tests.charts`"


def test_the_dashboard_asks_for_metrics_and_labels_that_exist() -> None:
    page = (REPOSITORY / "schemas/docs/metrics.md").read_text()
    known = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(pointsman_\w+)` \| \w+ \|([^|]*)\|", page, re.MULTILINE)
    }
    queries = [target["expr"] for panel in dashboard.document()["panels"] for target in panel["targets"]]
    for query in queries:
        for name, inside in re.findall(r"(pointsman_\w+)(?:\{([^}]*)\})?", query):
            assert set(re.findall(r"(\w+)[=!]~?\"", inside)) <= known[name.removesuffix("_bucket")], query
        assert query.count("(") == query.count(")")
    assert len(queries) > 10


def test_every_value_is_in_the_schema_with_its_default() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    missing = {name for name in values if name not in schema["properties"]}
    assert (missing, schema["additionalProperties"]) == (set(), False)


def by_kind(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in documents}


def containers(documents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for document in documents:
        spec = document.get("spec", {})
        if document["kind"] == "Deployment":
            spec = spec["template"]["spec"]
        yield from spec.get("containers", ())
