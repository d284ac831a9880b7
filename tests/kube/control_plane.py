"""A Kubernetes of one machine: etcd, the API server and the controller manager, each the real program.

What is not here: a scheduler and a kubelet (`node.py` is both), kube-proxy, DNS and an overlay network.
"""

import json
import os
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.fakes.certificates import Authority
from tests.fakes.free_ports import free_ports
from tests.fakes.processes import REPOSITORY, Child, eventually

PROGRAMS: Final = REPOSITORY / ".cache" / "kube" / "bin"
"""Where `make kube` builds them."""
BRIDGE: Final = "pointsman0"
HOST: Final = "10.77.0.1"
"""This machine on the pods' network, where the API server listens."""
ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
START_SECONDS: Final = 60.0

Object = dict[str, Any]


class Refused(Exception):
    """The status, and what the API server says."""


class Api:
    """The API server, asked as its administrator."""

    def __init__(self, authority: Path, certificate: Path) -> None:
        self._tls = ssl.create_default_context(cafile=str(authority))
        self._tls.load_cert_chain(certificate)

    def get(self, path: str) -> Object:
        return self.send("GET", path)

    def post(self, path: str, body: Mapping[str, Any]) -> Object:
        return self.send("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Object:
        return self.send("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path: str) -> Object:
        return self.send("DELETE", path, {"gracePeriodSeconds": 0})

    def send(
        self,
        method: Literal["GET", "POST", "PATCH", "DELETE"],
        path: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """Raises Refused."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type}
        request = urllib.request.Request(f"https://{HOST}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10, context=self._tls) as answer:
                found: Object = json.loads(answer.read())
                return found
        except urllib.error.HTTPError as error:
            raise Refused(f"{method} {path}: {error.code} {error.read().decode()}") from error
        except OSError as error:
            raise Refused(f"{method} {path}: {error}") from error


class ControlPlane:
    """Started on entering, gone on leaving, the bridge of its pods with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[Child] = []
        authority = Authority(folder, "cluster")
        # The programs' own names for it, and the one by which pods call it.
        server = authority.server("server.pem", HOST, "kubernetes.default.svc", "kubernetes.default")
        client = authority.client("admin.pem", "admin", organization="system:masters")
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(_kubeconfig(authority.file, client))
        self.api = Api(authority.file, client)
        self._authority, self._server = authority.file, server
        self._private, self._public = _token_keys(folder)

    def __enter__(self) -> "ControlPlane":
        try:
            self._bring_up()
        except BaseException:  # what was started does not outlive it
            self.__exit__()
            raise
        return self

    def _bring_up(self) -> None:
        _remove_bridge()
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{HOST}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        etcd, peers = free_ports(2)
        etcd_url = f"http://127.0.0.1:{etcd}"
        self._start(
            "etcd",
            **{
                "data-dir": self._folder / "etcd",
                "listen-client-urls": etcd_url,
                "advertise-client-urls": etcd_url,
                "listen-peer-urls": f"http://127.0.0.1:{peers}",
                "unsafe-no-fsync": "true",
            },
        )
        self._start(
            "kube-apiserver",
            **{
                "etcd-servers": etcd_url,
                "bind-address": HOST,
                "advertise-address": HOST,
                "secure-port": 443,
                "tls-cert-file": self._server,
                "tls-private-key-file": self._server,
                "client-ca-file": self._authority,
                "service-account-issuer": ISSUER,
                "service-account-signing-key-file": self._private,
                "service-account-key-file": self._public,
                "service-cluster-ip-range": "10.96.0.0/16",
                "authorization-mode": "RBAC",
                # Without kube-proxy nobody answers for a Service's address: webhooks are sent to its pods.
                "enable-aggregator-routing": "true",
            },
        )
        eventually(self._is_ready, START_SECONDS)
        self._start(
            "kube-controller-manager",
            **{
                "kubeconfig": self.kubeconfig,
                "service-account-private-key-file": self._private,
                "root-ca-file": self._authority,
                "leader-elect": "false",
                "secure-port": 0,
                # There is one node, and this test's process is it.
                "controllers": "*,-node-lifecycle-controller,-taint-eviction-controller",
            },
        )
        eventually(self._has_default_account, START_SECONDS)

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._children):
            child.kill()
        _remove_bridge()

    def _start(self, program: str, **flags: object) -> None:
        words = [f"--{name}={value}" for name, value in flags.items()]
        log = self._folder / f"{program}.log"
        self._children.append(Child.start(words, log=log, program=str(PROGRAMS / program)))

    def _is_ready(self) -> bool:
        assert all(child.is_running() for child in self._children), self._children[-1].stderr()[-3000:]
        try:
            self.api.get("/api/v1/namespaces/default")
        except Refused:
            return False
        return True

    def _has_default_account(self) -> bool:
        try:
            self.api.get("/api/v1/namespaces/default/serviceaccounts/default")
        except Refused:
            return False
        return True


def missing() -> str:
    """What this machine lacks for a cluster; empty: nothing."""
    programs = [
        name for name in ("etcd", "kube-apiserver", "kube-controller-manager") if not (PROGRAMS / name).exists()
    ]
    if programs:
        return f"{', '.join(programs)}: not built; `make kube` builds them and runs this"
    tools = [name for name in ("ip", "nsenter", "unshare", "setpriv", "debootstrap") if shutil.which(name) is None]
    if tools or os.geteuid() != 0:
        return f"takes root and {', '.join(tools) or 'nothing else'}"
    return ""


def _kubeconfig(authority: Path, client: Path) -> str:
    cluster = {"server": f"https://{HOST}", "certificate-authority": str(authority)}
    user = {"client-certificate": str(client), "client-key": str(client)}
    return yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": cluster}], "users": [{"name": "admin", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
    })  # fmt: skip


def _token_keys(folder: Path) -> tuple[Path, Path]:
    """The private and the public key of service accounts' tokens."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private, public = folder / "tokens.key", folder / "tokens.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _remove_bridge() -> None:
    subprocess.run(["ip", "link", "del", BRIDGE], check=False, stderr=subprocess.DEVNULL)
