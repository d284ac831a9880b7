"""A pod of one machine: its containers as processes in a network of its own, each on its image's root.

What a kubelet promises is kept: volumes and their modes, variables, the security context, init containers and native
sidecars in their order, probes, and an orderly end. It asks probes more often than they say.
"""

import contextlib
import shlex
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.kube.control_plane import BRIDGE, HOST, Api, Object, Refused
from tests.kube.given import Given
from tests.kube.images import Image, Images

TICK_SECONDS: Final = 0.1
PROBE_SECONDS: Final = 2.0
UNVERIFIED: Final = ssl._create_unverified_context()


class Pod(threading.Thread):
    """Runs from its binding to its end; `stop` is its deletion."""

    def __init__(self, api: Api, images: Images, document: Object, folder: Path, address: str, hosts: Path) -> None:
        super().__init__(daemon=True)
        self.name = document["metadata"]["name"]
        self.namespace = document["metadata"]["namespace"]
        self.path = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"
        self.address = address
        self._api, self._images, self._folder, self._hosts = api, images, folder, hosts
        self._spec = document["spec"]
        self._given = Given(api, document, folder, address)
        self._network = f"pod-{address.rpartition('.')[2]}"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._ready: set[str] = set()
        self._stopping = threading.Event()

    def run(self) -> None:
        self._folder.mkdir(parents=True)
        self._make_network()
        try:
            phase = self._live()
        finally:
            self._end()
            subprocess.run(["ip", "netns", "del", self._network], check=True)
        if self._stopping.is_set():
            # It may have been deleted by force already.
            with contextlib.suppress(Refused):
                self._api.delete(self.path)
        else:
            self._say(phase)

    def stop(self) -> None:
        self._stopping.set()

    def log(self, container: str) -> str:
        return (self._folder / f"{container}.log").read_text()

    def _live(self) -> str:
        """Gives the phase it ended in."""
        self._say("Pending")
        for container in self._spec.get("initContainers", []):
            self._until(self._could_start, container)
            if container.get("restartPolicy") == "Always":
                self._until(self._answers, container, "startupProbe")
            elif self._until(self._ended, container) and self._running.pop(container["name"]).returncode:
                return "Failed"
        for container in self._spec["containers"]:
            self._until(self._could_start, container)
        main = [container["name"] for container in self._spec["containers"]]
        for container in self._spec["containers"]:
            self._until(self._is_up, container)
        is_restarted = self._spec.get("restartPolicy", "Always") == "Always"
        while not self._stopping.wait(TICK_SECONDS):
            states = [self._running[name].poll() for name in main if name in self._running]
            if None not in states and not is_restarted:
                return "Failed" if any(states) else "Succeeded"
            for container in self._spec["containers"] if is_restarted else ():
                if self._ended(container):
                    self._could_start(container)
            self._look()
        return "Running"

    def _look(self) -> None:
        containers = [*self._spec.get("initContainers", []), *self._spec["containers"]]
        ready = {one["name"] for one in containers if one["name"] in self._running and self._is_ready(one)}
        if ready != self._ready or not ready:
            self._ready = ready
            self._say("Running")

    def _is_ready(self, container: Object) -> bool:
        return not self._ended(container) and self._answers(container, "readinessProbe")

    def _until(self, probe: Callable[..., bool], *given: object) -> bool:
        while not self._stopping.is_set():
            if probe(*given):
                return True
            self._stopping.wait(TICK_SECONDS)
        return False

    def _is_up(self, container: Object) -> bool:
        return self._ended(container) or self._answers(container, "startupProbe")

    def _ended(self, container: Object) -> bool:
        return self._running[container["name"]].poll() is not None

    def _answers(self, container: Object, probe: str) -> bool:
        """Also where there is no such probe."""
        if probe not in container:
            return True
        asked = container[probe]["httpGet"]
        ports = {one.get("name"): one["containerPort"] for one in container.get("ports", [])}
        port = ports.get(asked["port"], asked["port"])
        url = f"{asked.get('scheme', 'HTTP').lower()}://{self.address}:{port}{asked['path']}"
        headers = {one["name"]: one["value"] for one in asked.get("httpHeaders", [])}
        try:
            request = urllib.request.Request(url, headers=headers)
            with urllib.request.urlopen(request, timeout=PROBE_SECONDS, context=UNVERIFIED):
                return True
        except (OSError, urllib.error.HTTPError):
            return False

    def _say(self, phase: str) -> None:
        """The pod's status."""
        is_ready = phase == "Running" and self._ready >= {one["name"] for one in self._probed()}
        word = "True" if is_ready else "False"
        status = {
            "phase": phase, "hostIP": HOST, "podIP": self.address, "podIPs": [{"ip": self.address}],
            "conditions": [{"type": kind, "status": word} for kind in ("Ready", "ContainersReady")],
            "containerStatuses": [self._status_of(one) for one in self._spec["containers"]],
        }  # fmt: skip
        try:
            self._api.patch(f"{self.path}/status", {"status": status})
        except Refused:
            # It is gone, by force.
            self._stopping.set()

    def _status_of(self, container: Object) -> Object:
        process = self._running.get(container["name"])
        code = None if process is None else process.poll()
        state: Object = {"waiting": {"reason": "PodInitializing"}} if process is None else {"running": {}}
        if code is not None:
            state = {"terminated": {"exitCode": code}}
        return {
            "name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0, "state": state,
            "ready": container["name"] in self._ready,
        }  # fmt: skip

    def _probed(self) -> Iterator[Object]:
        yield from self._spec["containers"]
        yield from (one for one in self._spec.get("initContainers", []) if one.get("restartPolicy") == "Always")

    def _end(self) -> None:
        """Agents first, then their sidecars."""
        grace = self._spec.get("terminationGracePeriodSeconds", 30)
        for name in reversed(list(self._running)):
            process = self._running[name]
            process.terminate()
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _could_start(self, container: Object) -> bool:
        """Not while a secret or a ConfigMap that it needs does not exist."""
        try:
            self._start(container)
        except Refused:
            return False
        return True

    def _start(self, container: Object) -> None:
        image = self._images.named(container["image"])
        security = self._spec.get("securityContext", {}) | container.get("securityContext", {})
        words = container.get("command") or image.entrypoint
        words = [*words, *(container.get("args") or (() if container.get("command") else image.command))]
        mounts = self._mounts(container, image, is_read_only=security.get("readOnlyRootFilesystem", False))
        command = " && ".join(
            [*mounts, f"exec {shlex.join(['chroot', str(image.root), *_privileges(security), *words])}"]
        )
        with (self._folder / f"{container['name']}.log").open("ab") as log:
            self._running[container["name"]] = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self._network}",
                 "unshare", "--mount", "--propagation", "private", "sh", "-c", command],
                env={**image.environment, **self._given.variables(container)},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def _mounts(self, container: Object, image: Image, *, is_read_only: bool) -> Iterator[str]:
        root = shlex.quote(str(image.root))
        yield f"mount --bind {root} {root}"
        volumes = {one["name"]: one for one in self._spec.get("volumes", [])}
        binds = [(self._given.volume(volumes[one["name"]]), one) for one in container.get("volumeMounts", [])]
        for _, mount in binds:
            _inside(image.root, mount["mountPath"]).mkdir(parents=True, exist_ok=True)
        if is_read_only:
            yield f"mount -o remount,bind,ro {root}"
        yield f"mount -t proc proc {root}/proc"
        yield f"mount --bind {shlex.quote(str(self._hosts))} {root}/etc/hosts"
        for source, mount in binds:
            target = shlex.quote(str(_inside(image.root, mount["mountPath"])))
            yield f"mount --bind {shlex.quote(str(source))} {target}"
            if mount.get("readOnly"):
                yield f"mount -o remount,bind,ro {target}"

    def _make_network(self) -> None:
        inside, outside = f"{self._network}-in", self._network
        for words in (
            ["netns", "add", self._network],
            ["link", "add", outside, "type", "veth", "peer", "name", inside, "netns", self._network],
            ["link", "set", outside, "master", BRIDGE, "up"],
            ["-n", self._network, "addr", "add", f"{self.address}/24", "dev", inside],
            ["-n", self._network, "link", "set", inside, "up"],
            ["-n", self._network, "link", "set", "lo", "up"],
        ):
            subprocess.run(["ip", *words], check=True)


def _inside(root: Path, path: str) -> Path:
    """Where it is once `root` is the root: Debian's /var/run leads to /run."""
    found = root
    for part in Path(path).parts[1:]:
        found /= part
        if found.is_symlink():
            found = found.parent / found.readlink()
            found = _inside(root, str(found)) if not found.is_relative_to(root) else found
    return found


def _privileges(security: Object) -> list[str]:
    """Of a container's and its pod's security context, as a command to go before its own."""
    user, group = security.get("runAsUser", 0), security.get("runAsGroup", 0)
    words = ["setpriv", f"--reuid={user}", f"--regid={group}", f"--groups={security.get('fsGroup', group)}"]
    if security.get("allowPrivilegeEscalation") is False:
        words.append("--no-new-privs")
    if security.get("capabilities", {}).get("drop") == ["ALL"]:
        words += ["--bounding-set=-all", "--inh-caps=-all"]
    return words
