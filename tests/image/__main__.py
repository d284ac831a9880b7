"""`python -m tests.image`: the Dockerfile's steps, one by one, in clean roots that debootstrap makes; then both
programs as their images would run them: as nobody in particular, on a read-only root, asked by their health checks.

For machines without a builder of images. Takes root, and a few minutes.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from schemas.bundle import encode_bundle
from tests.fakes.core_bundles import bundle
from tests.fakes.processes import REPOSITORY
from tests.image.dockerfile import Stage, exec_form, parse
from tests.image.roots import Failed, Roots, in_root

STATE = "var/lib/pointsman"
READY_SECONDS = 20


def run_image(stage: Stage, root: Path, environment: Mapping[str, str], arguments: Sequence[str], log: Path) -> None:
    """As its image would: its entry point, its user, a read-only root; until its health check is content.

    Raises:
        Failed: it never is.
    """
    user = stage.last("USER")
    command = shlex.join(["chroot", f"--userspec={user}", str(root), *exec_form(stage.last("ENTRYPOINT")), *arguments])
    mounts = " && ".join([
        f"mount --bind {root} {root}", f"mount --bind {root}/{STATE} {root}/{STATE}",
        f"mount -o remount,bind,ro {root}",
        f"mount -t tmpfs tmpfs {root}/tmp", f"mount -t proc proc {root}/proc",
    ])  # fmt: skip
    with log.open("w") as output:
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{mounts} && exec {command}"],
            env=dict(environment), stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        check, deadline = exec_form(stage.last("HEALTHCHECK")), time.monotonic() + READY_SECONDS
        while in_root(root, check, environment, user).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{stage.name} is not healthy:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
    finally:
        process.terminate()
        process.wait(30)
    print(f"{stage.name}: healthy; ended with status {process.returncode}")


def size_of(root: Path) -> int:
    """In MB."""
    said = subprocess.run(["du", "--summarize", "--block-size=1M", root], capture_output=True, text=True, check=True)
    return int(said.stdout.split()[0])


def main() -> int:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print("this takes root and debootstrap", file=sys.stderr)
        return 2
    stages = parse(REPOSITORY / "Dockerfile")
    with tempfile.TemporaryDirectory(prefix="pointsman-image-") as folder:
        roots = Roots(Path(folder), stages)
        try:
            for name in ("sidecar", "controller"):
                root, environment = roots.make(name)
                state = root / STATE
                if name == "sidecar":
                    (state / "rules.json").write_bytes(encode_bundle(bundle()))
                    arguments = ["--rules", f"/{STATE}/rules.json"]
                else:
                    shutil.copytree(REPOSITORY / "examples" / "rules", state / "rules")
                    arguments = ["serve", "--repo", f"/{STATE}/rules"]
                subprocess.run(["chown", "--recursive", "65532:65532", state], check=True)
                print(f"{name}: {size_of(root)} MB, of them {size_of(root / 'opt')} MB ours and its packages")
                run_image(stages[name], root, environment, arguments, Path(folder, f"{name}.log"))
        except (Failed, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
