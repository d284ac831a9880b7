"""The chart on a real API server: installed, upgraded, rolled back and gone, by Helm 3 and 4, under the strictest pod
security; the webhook on pods that a Deployment makes; a service account's own token as a sidecar's credential.

`make kube` builds what it takes. The tests of a release tell one story, in their order.
"""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.sign import load_signer, save_public_key
from tests.charts.engine import CHART, PACKAGES, helm, kubectl
from tests.fakes.git_daemon import GitDaemon
from tests.fakes.processes import eventually
from tests.kube.control_plane import HOST, ControlPlane, Object, missing
from tests.kube.images import Images
from tests.kube.node import Node
from tests.system.rules import Door, files, use_case

WAIT_SECONDS = 60.0
PROVIDER_PORT = 9000
AGENT = """
import json, os, time, urllib.request
body = {"model": "support", "messages": [{"role": "user", "content": "Hello."}]}
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
headers = {"Content-Type": "application/json", "Authorization": "Bearer none"}
with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=20) as answer:
    print("ANSWER", answer.status, json.loads(answer.read())["model"], answer.headers["x-pointsman-model"], flush=True)
time.sleep(3600)
"""
RESTRICTED = {
    "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip


class Cluster:
    def __init__(self, plane: ControlPlane, node: Node, folder: Path) -> None:
        self.api, self.node, self.folder = plane.api, node, folder
        self.kubeconfig = plane.kubeconfig
        self._kubectl = kubectl(folder)

    def kubectl(self, *words: str, given: str = "") -> str:
        done = subprocess.run(
            [self._kubectl, "--kubeconfig", self.kubeconfig, *words],
            input=given, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def apply(self, *documents: Object) -> None:
        self.kubectl("apply", "--filename", "-", given=yaml.safe_dump_all(documents))

    def may(self, account: str, *words: str) -> bool:
        """Whether a service account is allowed to."""
        done = subprocess.run(
            [self._kubectl, "--kubeconfig", self.kubeconfig, "auth", "can-i", *words,
             "--as", f"system:serviceaccount:{account}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout.strip() == "yes"

    def pods(self, namespace: str, selector: str) -> list[Object]:
        found: list[Object] = self.api.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")["items"]
        return found


class Release:
    """Pointsman in a namespace of its own, and a team in another."""

    def __init__(self, cluster: Cluster, version: str, rules_url: str) -> None:
        self.cluster, self.version = cluster, version
        self.namespace, self.team = f"pointsman-{version}", f"team-{version}"
        self._helm = helm(version, cluster.folder)
        self._rules_url = rules_url
        self._folder = cluster.folder / self.namespace
        self._folder.mkdir()

    def prepare(self) -> None:
        """What the chart expects to exist: namespaces, secrets, a volume."""
        enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
        for name in (self.namespace, self.team):
            self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": enforce}})
        signer = load_signer(self._folder / "signing.key", make=True)
        save_public_key(self._folder / "signing.pub", signer)
        key, public = (self._folder / "signing.key").read_text(), (self._folder / "signing.pub").read_text()
        self.cluster.apply(
            secret(self.namespace, "signing", {"signing.key": key}),
            secret(self.namespace, "tokens", {"sidecar.token": "s" * 43, "admin.token": "a" * 43}),
            {"apiVersion": "v1", "kind": "ConfigMap", "data": {"signing.pub": public},
             "metadata": {"name": "pointsman-public-key", "namespace": self.team}},
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": self.namespace},
             "spec": {"capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"],
                      "hostPath": {"path": "/nowhere"}}},
        )  # fmt: skip

    def values(self, **more: Any) -> Path:
        account = {"namespace": self.team, "name": "support", "use_cases": ["support"]}
        path = self._folder / "values.yaml"
        path.write_text(yaml.safe_dump({
            "controller": {
                "rules": {"repo": self._rules_url, "poll": "1s"},
                "signingKey": {"existingSecret": "signing"}, "tokens": {"existingSecret": "tokens"},
                "access": {"kubernetes": {"enabled": True, "serviceAccounts": [account]}},
            },
            **more,
        }))  # fmt: skip
        return path

    def helm(self, *words: str) -> str:
        done = subprocess.run(
            [self._helm, "--kubeconfig", self.cluster.kubeconfig, "--namespace", self.namespace, *words],
            capture_output=True, text=True, check=False, env={"HOME": str(self._folder), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def earlier_chart(self) -> Path:
        """As the chart is, under an earlier version."""
        folder = self._folder / "earlier"
        if not folder.exists():
            shutil.copytree(CHART, folder)
            text = (folder / "Chart.yaml").read_text()
            (folder / "Chart.yaml").write_text(text.replace("version: 0.1.0\n", "version: 0.0.9\n", 1))
        return folder


def secret(namespace: str, name: str, data: dict[str, str]) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if lack := missing():
        pytest.skip(lack)
    folder = tmp_path_factory.mktemp("kube")
    images = Images()
    with ControlPlane(folder) as plane, Node(plane.api, images, folder / "node") as node:
        yield Cluster(plane, node, folder)


@pytest.fixture(scope="module")
def rules(cluster: Cluster) -> Iterator[GitDaemon]:
    daemon = GitDaemon(cluster.folder / "git", HOST)
    door = Door("alpha", "openai", f"http://127.0.0.1:{PROVIDER_PORT}")
    daemon.repo.commit(files([door], {name: use_case("alpha", name=name) for name in ("support", "secret")}))
    daemon.push()
    yield daemon
    daemon.stop()


@pytest.fixture(scope="module", params=sorted(PACKAGES))
def release(request: pytest.FixtureRequest, cluster: Cluster, rules: GitDaemon) -> Release:
    made = Release(cluster, request.param, rules.url)
    made.prepare()
    return made


def test_it_is_installed_and_its_own_test_is_content(release: Release) -> None:
    values = str(release.values())
    release.helm("install", "pointsman", str(release.earlier_chart()), "--values", values, "--wait", "--timeout", "40s")
    (found,) = release.cluster.pods(release.namespace, "app.kubernetes.io/component=controller")
    assert found["status"]["phase"] == "Running"
    release.helm("test", "pointsman", "--timeout", "60s")


def test_an_upgrade_brings_the_webhook_and_a_rollback_takes_it_away(release: Release) -> None:
    values = str(release.values(inject={"enabled": True}))
    upgrade = ["upgrade", "pointsman", str(CHART), "--values", values, "--wait", "--timeout", "40s"]
    release.helm(*upgrade)
    first = certificate_of(release)
    release.helm("rollback", "pointsman", "1", "--wait", "--timeout", "40s")
    assert webhooks_of(release) == []
    release.helm(*upgrade)
    again = certificate_of(release)
    release.helm(*upgrade)
    assert certificate_of(release) == again, "an upgrade keeps the certificate"
    assert first != again, "a rollback took it away with the webhook"
    chart = {row["chart"] for row in json.loads(release.helm("list", "--output", "json"))}
    assert chart == {"pointsman-0.1.0"}


def test_a_deployments_pod_gets_its_sidecar_and_its_service_account_is_its_credential(release: Release) -> None:
    release.cluster.apply(*agent(release.team, "support", {"pointsman/inject": "true"}))
    found = running(release, "support")
    sidecar, *_ = found["spec"]["initContainers"]
    assert (sidecar["name"], sidecar["restartPolicy"]) == ("pointsman", "Always")
    assert "pointsman/injected" in found["metadata"]["annotations"]
    said = eventually(lambda: said_by(release, found, "agent", "ANSWER"), WAIT_SECONDS)
    assert said == "ANSWER 200 alpha-at-openai alpha"


def test_pods_that_do_not_ask_are_left_alone_and_so_is_an_account_that_may_see_nothing(release: Release) -> None:
    plain, stranger = agent(release.team, "plain", {}), agent(release.team, "stranger", {"pointsman/inject": "true"})
    release.cluster.apply(*plain, *stranger)
    found = running(release, "plain")
    assert "initContainers" not in found["spec"]
    assert "annotations" not in found["metadata"]
    (other,) = eventually(lambda: release.cluster.pods(release.team, "app=stranger"), WAIT_SECONDS)
    refused = eventually(lambda: said_by(release, other, "pointsman", "403"), WAIT_SECONDS)
    assert refused, "a service account that `access` does not name is told so"


def test_without_a_controller_only_pods_that_ask_have_to_wait(release: Release) -> None:
    release.cluster.kubectl("scale", "deployment/pointsman", "--replicas=0", "--namespace", release.namespace)
    selector = "app.kubernetes.io/component=controller"
    eventually(lambda: not release.cluster.pods(release.namespace, selector), WAIT_SECONDS)
    asks, plain = pod(release.team, "asks", {"pointsman/inject": "true"}), pod(release.team, "does-not", {})
    with pytest.raises(AssertionError, match=r'failed calling webhook "inject\.pointsman\.svc"'):
        release.cluster.apply(asks)
    release.cluster.apply(plain)
    release.cluster.kubectl("scale", "deployment/pointsman", "--replicas=1", "--namespace", release.namespace)
    eventually(lambda: can_apply(release, asks), WAIT_SECONDS)


def test_the_controllers_account_may_read_the_clusters_public_keys_and_nothing_else(release: Release) -> None:
    account = f"{release.namespace}:pointsman"
    assert release.cluster.may(account, "get", "/openid/v1/jwks")
    for words in (["get", "secrets"], ["list", "pods"], ["create", "pods"], ["get", "configmaps"], ["*", "*"]):
        assert not release.cluster.may(account, *words, "--all-namespaces"), words
    assert not release.cluster.may(f"{release.team}:stranger", "get", "secrets")


def test_uninstalled_it_is_gone_but_for_the_ledgers_volume(release: Release) -> None:
    release.cluster.kubectl("delete", "deployment,pod", "--all", "--namespace", release.team, "--wait=false")
    release.helm("uninstall", "pointsman", "--wait", "--timeout", "40s")
    left = eventually(lambda: left_of(release), WAIT_SECONDS)
    assert left == ["PersistentVolumeClaim/pointsman"]


def agent(namespace: str, name: str, labels: dict[str, str]) -> list[Object]:
    """A Deployment with an agent, and what stands in for its provider beside it."""
    metadata = {"name": name, "namespace": namespace}
    said = {"app": name, **labels}
    simulator = ["/opt/pointsman/bin/python", "-m", "controller.demo.simulator", "--port", str(PROVIDER_PORT)]
    spec = {
        "serviceAccountName": name, "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 5,
        "containers": [
            {"name": "provider", "image": "pointsman/controller:0.1.0", "command": simulator,
             "securityContext": RESTRICTED},
            {"name": "agent", "image": "python:3.11", "command": ["python3", "-c", AGENT],
             "securityContext": RESTRICTED},
        ],
    }  # fmt: skip
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
         "spec": {"selector": {"matchLabels": {"app": name}},
                  "template": {"metadata": {"labels": said}, "spec": spec}}},
    ]  # fmt: skip


def pod(namespace: str, name: str, labels: dict[str, str]) -> Object:
    containers = [
        {"name": "agent", "image": "python:3.11", "command": ["sleep", "3600"], "securityContext": RESTRICTED}
    ]
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    spec = {"containers": containers, "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def can_apply(release: Release, document: Object) -> bool:
    try:
        release.cluster.apply(document)
    except AssertionError:
        return False
    return True


def running(release: Release, app: str) -> Object:
    def found() -> Object | None:
        pods = release.cluster.pods(release.team, f"app={app}")
        return next((pod for pod in pods if pod["status"].get("phase") == "Running"), None)

    return eventually(found, WAIT_SECONDS)


def said_by(release: Release, made: Object, container: str, text: str) -> str | None:
    metadata = made["metadata"]
    try:
        lines = release.cluster.node.log(metadata["namespace"], metadata["name"], container).splitlines()
    except (FileNotFoundError, IndexError):
        return None
    return next((line for line in lines if text in line), None)


def webhooks_of(release: Release) -> list[Object]:
    found = release.cluster.api.get("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations")["items"]
    return [one for one in found if one["metadata"]["name"].startswith(f"{release.namespace}-")]


def certificate_of(release: Release) -> bytes:
    """What the Secret says and the webhook trusts."""
    path = f"/api/v1/namespaces/{release.namespace}/secrets/pointsman-inject-tls"
    data = release.cluster.api.get(path)["data"]
    (webhook,) = webhooks_of(release)
    assert webhook["webhooks"][0]["clientConfig"]["caBundle"] == data["ca.crt"]
    return base64.b64decode(data["tls.crt"])


def left_of(release: Release) -> list[str] | None:
    """What has the release's label, or that of its namespace, once no pod is left."""
    kinds = release.cluster.kubectl("api-resources", "--verbs=list", "--output=name").split()
    found = release.cluster.kubectl(
        "get", ",".join(kinds), "--all-namespaces", "--ignore-not-found", "--output=json",
        "--selector=app.kubernetes.io/instance=pointsman",
    )  # fmt: skip
    items = json.loads(found)["items"] if found else []
    left = [
        f"{one['kind']}/{one['metadata']['name']}" for one in items
        if release.namespace in (one["metadata"].get("namespace"), one["metadata"]["name"][: len(release.namespace)])
    ]  # fmt: skip
    return sorted(left) if not any(one.startswith("Pod/") for one in left) else None
