"""The OpenAPI document says all that programs may ask of a controller, and is one."""

from pathlib import Path

from jsonschema import Draft202012Validator

from controller.api.described import PATHS
from controller.api.guards import Access
from controller.api.routes import DOCUMENT, ROUTES
from tests.fakes import wire
from tests.fakes.controller import StartController
from tests.fakes.rules_repo import RulesRepo

PAGES = {Access.PAGE, Access.PERSON}
FOR_PEOPLE = ("/login", "/logout", "/static/")


def test_every_path_for_programs_is_described_and_no_other() -> None:
    routed = {
        (route.method, route.path)
        for route in ROUTES
        if route.access not in PAGES and not route.path.startswith(FOR_PEOPLE)
    }
    assert PATHS.keys() == routed | {("GET", DOCUMENT)}


def test_a_controller_serves_it(start_controller: StartController, tmp_path: Path) -> None:
    repo = RulesRepo(tmp_path / "rules")
    repo.commit()
    controller = start_controller(repo.path)
    answer = wire.get(f"{controller.url}{DOCUMENT}")
    assert answer.status == 200
    said = answer.json
    assert said["openapi"] == "3.1.0"
    assert {(method.upper(), path) for path, one in said["paths"].items() for method in one} == PATHS.keys()
    for schema in said["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    status = said["paths"]["/v1/status"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    Draft202012Validator(status).validate(wire.get(f"{controller.url}/v1/status").json)
