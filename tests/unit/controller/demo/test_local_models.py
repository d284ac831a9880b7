"""A real small model, answering; and clear words where it cannot."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from controller.demo.local_models import LocalModel, ModelUnavailable, available, running

COMMAND = [sys.executable, "-m", "controller.demo.local_models", "smollm2=0", "--until-stdin-closes"]

needs_smollm2 = pytest.mark.skipif(available("smollm2") is not None, reason=available("smollm2") or "")


@pytest.fixture
def base_url() -> Iterator[str]:
    with running([LocalModel("smollm2", 0)]) as models:
        yield models[0].base_url


@needs_smollm2
def test_the_model_answers_plain_and_streamed(base_url: str) -> None:
    with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        plain = client.chat.completions.create(
            model="smollm2", messages=[{"role": "user", "content": "Say hello."}], max_tokens=8, temperature=0, seed=1
        )
        assert plain.choices[0].message.content
        assert plain.usage is not None
        assert 0 < plain.usage.completion_tokens <= 8
        stream = client.chat.completions.create(
            model="smollm2",
            messages=[{"role": "user", "content": "Say hello."}],
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage is not None


@needs_smollm2
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("end", ["sigterm", "sigkill", "stdin"])
def test_the_engine_dies_with_the_command(end: str) -> None:
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline().startswith("READY smollm2 http://127.0.0.1:")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 1
        child = os.pidfd_open(int(children[0]))
        try:
            match end:
                case "sigterm":
                    process.send_signal(signal.SIGTERM)
                case "sigkill":
                    process.kill()
                case _:
                    process.stdin.close()
            assert process.wait(10) == (-signal.SIGKILL if end == "sigkill" else 0)
            readable, _, _ = select.select([child], [], [], 5)  # a pidfd is readable once its process has ended
            assert readable
        finally:
            os.close(child)


def test_what_is_missing_is_named_with_what_helps(tmp_path: Path) -> None:
    assert "no file" in (available("mine", tmp_path / "mine.gguf") or "")
    assert "=PORT=/path" in (available("unheard-of") or "")
    with pytest.raises(ModelUnavailable, match="unheard-of"), running([LocalModel("unheard-of", 0)]):
        pass


@needs_smollm2
def test_a_file_that_is_no_model_ends_with_words(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"not a model")
    with (
        pytest.raises(ModelUnavailable, match="broken: the engine did not start"),
        running([LocalModel("broken", 0, file)]),
    ):
        pass
