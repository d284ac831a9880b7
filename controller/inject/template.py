"""What a pod gets: the sidecar's container, its volumes, and the variables by which SDKs find it. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

KEYS: Final = ("sidecar", "volumes", "env")


class BadTemplate(ValueError):
    """The text says what would be right."""


@dataclass(frozen=True, slots=True)
class Template:
    sidecar: Mapping[str, Any]
    """A container as Kubernetes writes it, `restartPolicy: Always` among its keys."""
    volumes: tuple[Mapping[str, Any], ...]
    env: tuple[Mapping[str, Any], ...]
    """For every other container of the pod."""
    revision: str
    """Of the text: which template a pod was made by."""


def parse_template(text: str) -> Template:
    """YAML with `sidecar`, `volumes` and `env`, each a list, as the chart writes it. Raises `BadTemplate`."""
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadTemplate(f"no YAML: {error}") from error
    if not isinstance(said, dict) or set(said) != set(KEYS):
        raise BadTemplate(f"it has the keys {', '.join(KEYS)}, and no others")
    for key in KEYS:
        if not isinstance(said[key], list) or not all(isinstance(one, dict) and one.get("name") for one in said[key]):
            raise BadTemplate(f"{key}: a list of objects, each with a name")
    if len(said["sidecar"]) != 1:
        raise BadTemplate("sidecar: one container")
    (sidecar,) = said["sidecar"]
    if sidecar.get("restartPolicy") != "Always":
        raise BadTemplate("sidecar: restartPolicy is Always, or pods would wait for it to end")
    revision = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Template(sidecar, tuple(said["volumes"]), tuple(said["env"]), revision)
