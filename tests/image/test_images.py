"""The Dockerfile and the compose file, as far as they can be held true where no image can be built.

`make image` runs the Dockerfile's steps.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes import wire
from tests.fakes.free_ports import free_ports
from tests.fakes.processes import REPOSITORY, Child, eventually
from tests.image.dockerfile import exec_form, parse

COMPOSE = REPOSITORY / "examples" / "compose" / "compose.yaml"


@pytest.mark.parametrize("target", ["sidecar", "controller"])
def test_an_image_runs_as_nobody_in_particular_and_carries_no_installer(target: str) -> None:
    stages = parse(REPOSITORY / "Dockerfile")
    stage = stages[target]
    assert stage.last("USER") == "65532:65532"
    assert exec_form(stage.last("HEALTHCHECK"))[0] == "python3"
    assert stage.base == "python"
    assert not any("pip" in words or "venv" in words for name, words in stage.steps if name == "RUN")
    assert "--constraint" in stages[f"build-{target}"].steps[0][1]


def test_what_the_build_copies_exists_and_is_let_through() -> None:
    let_through = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = [words.split()[:-1] for name, words in parse(REPOSITORY / "Dockerfile")["build"].steps if name == "COPY"]
    assert {name for names in copied for name in names} == let_through
    assert all((REPOSITORY / name).exists() for name in let_through)


def test_the_programs_run_as_the_compose_file_starts_them(tmp_path: Path) -> None:
    services: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    port, agents, admin = free_ports(3)
    shutil.copytree(COMPOSE.parent / services["controller"]["volumes"][0].partition(":")[0], tmp_path / "rules")
    (tmp_path / "door").mkdir()
    stand_ins = {
        "/rules": str(tmp_path / "rules"), "0.0.0.0:4200": f"127.0.0.1:{port}",
        "http://controller:4200": f"http://127.0.0.1:{port}",
        "/door/sidecar.token": str(tmp_path / "door/sidecar.token"),
        "/door/signing.pub": str(tmp_path / "door/signing.pub"),
    }  # fmt: skip
    words = {name: [stand_ins.get(word, word) for word in service["command"]] for name, service in services.items()}
    assert set(services) == {"controller", "door", "sidecar"}

    controller = Child.start(
        ["-m", "controller", *words["controller"], "--state", str(tmp_path / "state")], log=tmp_path / "controller.log"
    )
    try:
        controller.wait_for("revision.accepted")
        copy, *files, _ = services["door"]["entrypoint"]
        assert copy == "cp"
        for file in files:
            shutil.copy2(tmp_path / "state" / Path(file).name, tmp_path / "door")
        assert not (tmp_path / "door" / "signing.key").exists()
        sidecar = Child.start(
            ["-m", "sidecar", *words["sidecar"], "--state", str(tmp_path / "sidecar"),
             "--listen", f"127.0.0.1:{agents}", "--admin", f"127.0.0.1:{admin}"],
            log=tmp_path / "sidecar.log",
        )  # fmt: skip
        try:
            sidecar.wait_for("listens on")
            eventually(lambda: wire.get(f"http://127.0.0.1:{admin}/readyz").status == 200)
        finally:
            sidecar.stop()
    finally:
        controller.stop()
