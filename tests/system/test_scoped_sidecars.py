"""Sidecars of two teams at one controller over TLS: each is sent the rules of its own use case, and runs them."""

from pathlib import Path

import msgspec

from schemas.bundle import SignedPointer, decode_bundle
from tests.fakes import wire
from tests.fakes.certificates import Authority
from tests.fakes.controller import StartController
from tests.fakes.processes import eventually
from tests.fakes.rules_repo import RulesRepo
from tests.fakes.sidecar import SidecarProcess, StartSidecar
from tests.fakes.simulator import StartSimulator
from tests.system.rules import Door, files, use_case

ACCESS = """
certificates:
  - {name: "spiffe://example.org/support", use_cases: [support]}
  - {name: "spiffe://example.org/both", use_cases: [support, coding]}
"""
PLATFORM = """
schema: 1
callers:
  - {name: coder, key: "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b", use_cases: [coding]}
"""
"""The key is "secret"."""


def kept(sidecar: SidecarProcess) -> SignedPointer:
    """What it would start from with the controller away."""
    return msgspec.json.decode((sidecar.state / "rules" / "current.json").read_bytes(), type=SignedPointer)


def call(sidecar: SidecarProcess, name: str, key: str = "") -> wire.Reply:
    body = {"model": name, "messages": [{"role": "user", "content": "hello"}]}
    return wire.post(f"{sidecar.url}/v1/chat/completions", body, {"authorization": f"Bearer {key}"} if key else None)


def test_each_sidecar_runs_the_rules_of_its_own_use_case(
    tmp_path: Path, start_controller: StartController, start_sidecar: StartSidecar, start_simulator: StartSimulator
) -> None:
    maker = start_simulator("alpha")
    repo = RulesRepo(tmp_path / "rules")
    doors = [Door("red", "openai", maker.url), Door("green", "anthropic", maker.url)]
    repo.commit(files(doors, {"support": use_case("red"), "coding": use_case("green", name="coding")}))
    authority = Authority(tmp_path, "authority")
    access = tmp_path / "access.yaml"
    access.write_text(ACCESS)
    tls = ["--tls-cert", str(authority.server("controller.pem")), "--client-ca", str(authority.file)]
    controller = start_controller(repo.path, options=[*tls, "--access", str(access)])
    assert controller.url.startswith("https://")
    controller.child.wait_for("revision.accepted")

    def sidecar(name: str, *options: str) -> SidecarProcess:
        shown = authority.client(f"{name}.pem", name, f"spiffe://example.org/{name}")
        proof = ["--controller-ca", str(authority.file), "--controller-cert", str(shown)]
        return start_sidecar(
            controller.url, environment={"XDG_STATE_HOME": str(tmp_path / "none")},
            options=[*proof, "--public-key", str(controller.public_key_file), *options],
        )  # fmt: skip

    support, narrowed, both = sidecar("support"), sidecar("both", "--serves", "support"), sidecar("both")
    for scoped in (support, narrowed):
        assert call(scoped, "support").status == 200
        refused = call(scoped, "coding")
        assert refused.status == 404
        assert b"known use cases: support" in refused.body
    assert {call(both, name).status for name in ("support", "coding")} == {200}

    assert kept(support).bundle == kept(narrowed).bundle
    assert kept(support).pointer == kept(narrowed).pointer
    assert "green" not in (kept(support).bundle or "")
    whole = decode_bundle((kept(support).bundle or "").encode()).whole
    assert {record.bundle for record in support.records()} == {whole}

    # Callers of others alone: a key is asked for all the same, and the fleet hears of one revision.
    commit = repo.commit({"pointsman.yaml": PLATFORM})
    eventually(lambda: all(one.status().active.revision == commit for one in (support, narrowed, both)))
    assert call(support, "support").status == 401
    assert call(support, "support", "secret").status == 401
    assert call(both, "coding", "secret").status == 200
    assert call(both, "support", "secret").status == 403
    assert controller.stop() == 0
