"""An AdmissionReview in, one out: the patch that gives a pod its sidecar, or none. Pure.

Source: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/ (admission.k8s.io/v1)
and RFC 6902. Whatever a pod is like, it is allowed: this adds, and judges nothing.
"""

import base64
import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controller.inject.template import Template

LABEL: Final = "pointsman/inject"
"""`"true"` on a pod asks for a sidecar."""
USE_CASE: Final = "pointsman/use-case"
AGENT: Final = "pointsman/agent"
SAID_BY_POD: Final = {USE_CASE: "POINTSMAN_USE_CASE", AGENT: "POINTSMAN_AGENT"}
"""Annotation → what it tells the sidecar."""
INJECTED: Final = "pointsman/injected"
"""Annotation of ours: the revision of the template."""

Operation = dict[str, Any]


class NotAReview(ValueError):
    """The text says what was expected."""


@dataclass(frozen=True, slots=True)
class Answer:
    document: Mapping[str, Any]
    outcome: str
    """`injected`, `not_asked`, `there_already` or `host_network`."""
    namespace: str
    pod: str


def answer_to(review: object, template: Template) -> Answer:
    """Raises `NotAReview`."""
    request = review.get("request") if isinstance(review, dict) else None
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str):
        raise NotAReview("an AdmissionReview of admission.k8s.io/v1 with a request is expected")
    pod = request.get("object")
    metadata = _mapping(_mapping(pod).get("metadata"))
    outcome, patch, warnings = _decide(request, _mapping(pod), metadata, template)
    response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
    if patch:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
    if warnings:
        response["warnings"] = list(warnings)
    document = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    name = metadata.get("name") or metadata.get("generateName") or ""
    return Answer(document, outcome, str(request.get("namespace", "")), str(name))


def _decide(
    request: Mapping[str, Any], pod: Mapping[str, Any], metadata: Mapping[str, Any], template: Template
) -> tuple[str, Sequence[Operation], Sequence[str]]:
    kind = _mapping(request.get("kind")).get("kind")
    is_asked = _mapping(metadata.get("labels")).get(LABEL) == "true"
    spec = _mapping(pod.get("spec"))
    if kind != "Pod" or request.get("operation") != "CREATE" or not is_asked or not spec.get("containers"):
        return "not_asked", (), ()
    if template.sidecar["name"] in {one.get("name") for one in _list(spec.get("initContainers"))}:
        return "there_already", (), ()
    if spec.get("hostNetwork"):
        return (
            "host_network",
            (),
            ("pointsman: no sidecar with hostNetwork: two pods of a host would want one port",),
        )
    return "injected", list(_patch(spec, metadata, template)), ()


def _patch(spec: Mapping[str, Any], metadata: Mapping[str, Any], template: Template) -> Iterator[Operation]:
    annotations = _mapping(metadata.get("annotations"))
    sidecar = _told(template.sidecar, annotations)
    # First: other init containers may want to call a model.
    yield from _added(spec, "/spec", "initContainers", [sidecar], at="0")
    names = {one.get("name") for one in _list(spec.get("volumes"))}
    yield from _added(spec, "/spec", "volumes", [one for one in template.volumes if one["name"] not in names])
    for key in ("containers", "initContainers"):
        # The sidecar stands before those that were there.
        for number, container in enumerate(_list(spec.get(key)), start=int(key == "initContainers")):
            known = {one.get("name") for one in _list(container.get("env"))}
            missing = [one for one in template.env if one["name"] not in known]
            yield from _added(container, f"/spec/{key}/{number}", "env", missing)
    if annotations:
        yield {"op": "add", "path": f"/metadata/annotations/{_escaped(INJECTED)}", "value": template.revision}
    else:
        yield {"op": "add", "path": "/metadata/annotations", "value": {INJECTED: template.revision}}


def _told(sidecar: Mapping[str, Any], annotations: Mapping[str, Any]) -> dict[str, Any]:
    """What the pod says of itself stands in place of what the template says."""
    told = copy.deepcopy(dict(sidecar))
    said = {name: annotations[key] for key, name in SAID_BY_POD.items() if annotations.get(key)}
    if said:
        kept = [one for one in _list(told.get("env")) if one.get("name") not in said]
        told["env"] = [*kept, *({"name": name, "value": str(value)} for name, value in said.items())]
    return told


def _added(
    there: Mapping[str, Any], path: str, key: str, values: Sequence[Mapping[str, Any]], at: str = "-"
) -> Iterator[Operation]:
    """To a list that may not exist yet."""
    if not values:
        return
    if not _list(there.get(key)):
        yield {"op": "add", "path": f"{path}/{key}", "value": list(values)}
        return
    for value in values:
        yield {"op": "add", "path": f"{path}/{key}/{at}", "value": value}


def _escaped(name: str) -> str:
    """RFC 6901."""
    return name.replace("~", "~0").replace("/", "~1")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
