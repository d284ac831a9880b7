"""The one node: takes every pod that nobody has, runs it, and lets it end when it is deleted.

Pods find Services by name in a file of hosts: one ready pod of each, on the pod's own port. There is no address of a
Service behind which kube-proxy would share calls out.
"""

import contextlib
import threading
from pathlib import Path
from typing import Final

from tests.kube.control_plane import HOST, Api, Object, Refused
from tests.kube.images import Images
from tests.kube.pod import Pod

NAME: Final = "here"
TICK_SECONDS: Final = 0.1


class Node:
    def __init__(self, api: Api, images: Images, folder: Path) -> None:
        self._api, self._images, self._folder = api, images, folder
        self._hosts = folder / "hosts"
        folder.mkdir()
        self._hosts.write_text("")
        self._pods: dict[str, Pod] = {}
        """By uid."""
        self._numbers = iter(range(2, 255))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Node":
        self._api.post("/api/v1/nodes", {"metadata": {"name": NAME}})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        for pod in self._pods.values():
            pod.stop()
        for pod in self._pods.values():
            pod.join()

    def log(self, namespace: str, name: str, container: str) -> str:
        """What a container of the newest pod of that name has said."""
        found = [pod for pod in self._pods.values() if (pod.namespace, pod.name) == (namespace, name)]
        return found[-1].log(container)

    def _run(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            documents = self._api.get("/api/v1/pods")["items"]
            for document in documents:
                # One that has just gone, or that another process has bound, is looked at again.
                with contextlib.suppress(Refused):
                    self._look_at(document)
            for uid in self._pods.keys() - {document["metadata"]["uid"] for document in documents}:
                self._pods[uid].stop()
            self._hosts.write_text(self._names())

    def _look_at(self, document: Object) -> None:
        metadata = document["metadata"]
        uid = metadata["uid"]
        if "deletionTimestamp" in metadata:
            if uid in self._pods:
                self._pods[uid].stop()
            return
        if document["spec"].get("nodeName") is None:
            target = {"kind": "Node", "name": NAME}
            path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding"
            self._api.post(path, {"metadata": {"name": metadata["name"]}, "target": target})
        elif uid not in self._pods:
            address = f"{HOST.rpartition('.')[0]}.{next(self._numbers)}"
            folder = self._folder / f"{metadata['namespace']}-{metadata['name']}-{uid[:8]}"
            self._pods[uid] = Pod(self._api, self._images, document, folder, address, self._hosts)
            self._pods[uid].start()

    def _names(self) -> str:
        lines = ["127.0.0.1 localhost", f"{HOST} kubernetes.default.svc"]
        for ends in self._api.get("/apis/discovery.k8s.io/v1/endpointslices")["items"]:
            name, namespace = (
                ends["metadata"]["labels"].get("kubernetes.io/service-name"),
                ends["metadata"]["namespace"],
            )
            ready = [one for one in ends["endpoints"] or () if one["conditions"].get("ready")]
            if ready and namespace != "default":
                lines.append(f"{ready[0]['addresses'][0]} {name}.{namespace}.svc")
        return "\n".join(lines) + "\n"
