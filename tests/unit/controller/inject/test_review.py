"""Pods on their way through the webhook, in Kubernetes' own words: who gets a sidecar, and what exactly."""

import base64
import copy
import json
from typing import Any

import pytest

from controller.inject.review import NotAReview, answer_to
from controller.inject.template import BadTemplate, parse_template

TEXT = """
sidecar:
  - name: pointsman
    image: pointsman-sidecar:1
    restartPolicy: Always
    env:
      - {name: POINTSMAN_RULES, value: "http://pointsman:4200"}
      - {name: POINTSMAN_AGENT, value: of-the-template}
volumes:
  - {name: pointsman-state, emptyDir: {}}
  - {name: pointsman-key, configMap: {name: pointsman-key}}
env:
  - {name: OPENAI_BASE_URL, value: "http://127.0.0.1:4100/v1"}
"""
TEMPLATE = parse_template(TEXT)
ASKS = {"labels": {"app": "support", "pointsman/inject": "true"}, "generateName": "support-6d4-"}
TOKEN = {"name": "kube-api-access-x", "projected": {"sources": []}}
SPEC = {"containers": [{"name": "agent", "image": "agent:3"}], "volumes": [TOKEN]}


def review(metadata: dict[str, Any], spec: dict[str, Any], **request: Any) -> dict[str, Any]:
    """As the API server sends it."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "team",
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
            "dryRun": False,
        }
        | request,
    }


def patched(document: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    """RFC 6902, of which `add` is used."""
    made: dict[str, Any] = copy.deepcopy(document["request"]["object"])
    for operation in json.loads(base64.b64decode(response["patch"])):
        assert operation["op"] == "add"
        *path, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].removeprefix("/").split("/")
        ]
        place: Any = made
        for part in path:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if not isinstance(place, list):
            place[last] = operation["value"]
        else:
            place.insert(len(place) if last == "-" else int(last), operation["value"])
    return made


def answered(document: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    answer = answer_to(document, TEMPLATE)
    response: dict[str, Any] = answer.document["response"]
    assert (answer.document["apiVersion"], answer.document["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert (response["uid"], response["allowed"]) == (document["request"]["uid"], True)
    return answer.outcome, response


def test_a_pod_that_asks_gets_the_sidecar_its_volumes_and_the_variables() -> None:
    document = review(ASKS, SPEC)
    outcome, response = answered(document)
    assert (outcome, response["patchType"]) == ("injected", "JSONPatch")
    pod = patched(document, response)
    assert pod["spec"]["initContainers"] == [TEMPLATE.sidecar]
    assert pod["spec"]["volumes"] == [TOKEN, *TEMPLATE.volumes]
    assert pod["spec"]["containers"] == [{**SPEC["containers"][0], "env": list(TEMPLATE.env)}]
    assert pod["metadata"]["annotations"] == {"pointsman/injected": TEMPLATE.revision}
    assert pod["metadata"]["labels"] == ASKS["labels"]


def test_what_a_pod_says_itself_stays_and_the_sidecar_starts_before_what_may_call_it() -> None:
    own = {"name": "OPENAI_BASE_URL", "value": "https://elsewhere.example/v1"}
    spec = {
        "initContainers": [{"name": "warm-up", "image": "agent:3", "env": [{"name": "A", "value": "b"}]}],
        "containers": [{"name": "agent", "image": "agent:3", "env": [own]}, {"name": "log", "image": "log:1"}],
        "volumes": [{"name": "pointsman-state", "emptyDir": {"medium": "Memory"}}],
    }
    annotations = {"pointsman/use-case": "support", "pointsman/agent": "desk", "other/key": "kept"}
    document = review({**ASKS, "annotations": annotations}, spec)
    pod = patched(document, answered(document)[1])
    sidecar, warm_up = pod["spec"]["initContainers"]
    assert sidecar["env"] == [
        TEMPLATE.sidecar["env"][0],
        {"name": "POINTSMAN_USE_CASE", "value": "support"},
        {"name": "POINTSMAN_AGENT", "value": "desk"},
    ]
    assert warm_up["env"] == [{"name": "A", "value": "b"}, *TEMPLATE.env]
    assert [container["env"] for container in pod["spec"]["containers"]] == [[own], list(TEMPLATE.env)]
    assert pod["spec"]["volumes"] == [spec["volumes"][0], TEMPLATE.volumes[1]]
    assert pod["metadata"]["annotations"] == annotations | {"pointsman/injected": TEMPLATE.revision}


def test_a_second_time_changes_nothing() -> None:
    document = review(ASKS, SPEC)
    again = copy.deepcopy(document)
    again["request"]["object"] = patched(document, answered(document)[1])
    outcome, response = answered(again)
    assert (outcome, "patch" in response) == ("there_already", False)


@pytest.mark.parametrize(
    ("metadata", "spec", "request_", "outcome"),
    [
        ({}, SPEC, {}, "not_asked"),
        ({"labels": {"pointsman/inject": "false"}}, SPEC, {}, "not_asked"),
        ({"labels": None}, SPEC, {}, "not_asked"),
        ({"annotations": {"pointsman/inject": "true"}}, SPEC, {}, "not_asked"),
        (ASKS, SPEC, {"operation": "UPDATE"}, "not_asked"),
        (ASKS, SPEC, {"operation": "DELETE", "object": None}, "not_asked"),
        (ASKS, SPEC, {"kind": {"group": "apps", "version": "v1", "kind": "Deployment"}}, "not_asked"),
        (ASKS, {"containers": []}, {}, "not_asked"),
        (ASKS, SPEC | {"hostNetwork": True}, {}, "host_network"),
    ],
)
def test_others_are_left_alone(
    metadata: dict[str, Any], spec: dict[str, Any], request_: dict[str, Any], outcome: str
) -> None:
    found, response = answered(review(metadata, spec, **request_))
    assert (found, "patch" in response) == (outcome, False)
    assert bool(response.get("warnings")) == (outcome == "host_network")


@pytest.mark.parametrize("said", [None, [], {}, {"request": None}, {"request": {}}, {"request": {"uid": 1}}])
def test_what_is_no_review_is_refused(said: object) -> None:
    with pytest.raises(NotAReview, match="AdmissionReview"):
        answer_to(said, TEMPLATE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no YAML"),
        ("- 1", "the keys sidecar, volumes, env"),
        (TEXT.replace("env:\n  - {name: OPENAI", "more:\n  - {name: OPENAI"), "the keys sidecar, volumes, env"),
        (TEXT.replace("restartPolicy: Always", "restartPolicy: Never"), "restartPolicy is Always"),
        (TEXT.replace("{name: pointsman-state, ", "{"), "volumes: a list of objects, each with a name"),
        ("sidecar: []\nvolumes: []\nenv: []\n", "one container"),
    ],
)
def test_a_template_that_is_none_says_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(BadTemplate, match=message):
        parse_template(text)
