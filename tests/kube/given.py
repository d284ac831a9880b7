"""What a pod is given of the cluster: its variables, and its volumes as folders with the modes that they promise."""

import base64
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.kube.control_plane import Api, Object


class Given:
    """Raises Refused wherever a secret or a ConfigMap does not exist."""

    def __init__(self, api: Api, document: Object, folder: Path, address: str) -> None:
        self._api, self._folder, self._address = api, folder, address
        self._metadata, self._spec = document["metadata"], document["spec"]
        self._namespace = f"/api/v1/namespaces/{self._metadata['namespace']}"
        self._group = self._spec.get("securityContext", {}).get("fsGroup")

    def variables(self, container: Object) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            found |= {name: value.decode() for name, value in self._secret(source["secretRef"]["name"]).items()}
        for one in container.get("env", []):
            found[one["name"]] = re.sub(
                r"\$\((\w+)\)", lambda name: found.get(name[1], name[0]), self._value(one)
            )  # fmt: skip
        return found

    def _value(self, variable: Mapping[str, Any]) -> str:
        source = variable.get("valueFrom", {})
        if "fieldRef" in source:
            assert source["fieldRef"]["fieldPath"] == "status.podIP"
            return self._address
        if "secretKeyRef" in source:
            return self._secret(source["secretKeyRef"]["name"])[source["secretKeyRef"]["key"]].decode()
        return str(variable.get("value", ""))

    def _secret(self, name: str) -> dict[str, bytes]:
        data = self._api.get(f"{self._namespace}/secrets/{name}").get("data") or {}
        return {key: base64.b64decode(value) for key, value in data.items()}

    def _config(self, name: str) -> dict[str, bytes]:
        data = self._api.get(f"{self._namespace}/configmaps/{name}").get("data") or {}
        return {key: value.encode() for key, value in data.items()}

    def volume(self, volume: Object) -> Path:
        """Its folder, made at the first mount."""
        if "persistentVolumeClaim" in volume:
            claim = f"{self._metadata['namespace']}-{volume['persistentVolumeClaim']['claimName']}"
            return self._owned(self._folder.parent / "claims" / claim)
        folder = self._folder / "volumes" / volume["name"]
        if folder.exists():
            return folder
        mode = 0o644
        if "emptyDir" in volume:
            return self._owned(folder)
        if "secret" in volume:
            mode = volume["secret"].get("defaultMode", mode)
            files = _chosen(self._secret(volume["secret"]["secretName"]), volume["secret"])
        elif "configMap" in volume:
            files = _chosen(self._config(volume["configMap"]["name"]), volume["configMap"])
        else:
            files = {}
            for source in volume["projected"]["sources"]:
                files |= self._projected(source)
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_bytes(text)
            (folder / name).chmod(mode)
            shutil.chown(folder / name, 0, self._group or 0)
        return folder

    def _projected(self, source: Object) -> dict[str, bytes]:
        if "configMap" in source:
            return _chosen(self._config(source["configMap"]["name"]), source["configMap"])
        if "downwardAPI" in source:
            return {one["path"]: self._metadata["namespace"].encode() for one in source["downwardAPI"]["items"]}
        asked = source["serviceAccountToken"]
        account = f"{self._namespace}/serviceaccounts/{self._spec['serviceAccountName']}"
        bound = {"kind": "Pod", "apiVersion": "v1", "name": self._metadata["name"], "uid": self._metadata["uid"]}
        spec = {"expirationSeconds": asked.get("expirationSeconds", 3600), "boundObjectRef": bound}
        if "audience" in asked:
            spec["audiences"] = [asked["audience"]]
        return {asked["path"]: self._api.post(f"{account}/token", {"spec": spec})["status"]["token"].encode()}

    def _owned(self, folder: Path) -> Path:
        """As `emptyDir` is: for everybody, and with `fsGroup` for that group."""
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(0o777 if self._group is None else 0o2775)
            os.chown(folder, 0, self._group or 0)
        return folder


def _chosen(files: Mapping[str, bytes], source: Object) -> dict[str, bytes]:
    items = source.get("items")
    return dict(files) if items is None else {one["path"]: files[one["key"]] for one in items}
