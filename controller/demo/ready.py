"""The last words of the story: where everything is, and how to go on alone."""

import shutil
import sys
from pathlib import Path

from controller.demo.narration import shell_line
from controller.demo.repository import SUPPORT
from controller.demo.settings import DemoSettings


def ready_text(settings: DemoSettings, rules: Path, logs: Path) -> str:
    """One text, to be written at once: whoever reads the line `Ready: …` and leaves misses nothing that follows."""
    url = settings.agents_url
    beside = Path(sys.executable).with_name("pointsman")
    pointsman = "pointsman" if shutil.which("pointsman") or not beside.exists() else beside
    stays = "" if settings.once else "\nCtrl-C ends all of it.\n"
    return f"""
Ready: {url}

  Call it:
    curl {url}/v1/chat/completions \\
      -H 'content-type: application/json' \\
      -d '{{"model": "customer-support",
      "messages": [{{"role": "user", "content": "Hello!"}}]}}'
  With an SDK that you have:
    OPENAI_BASE_URL={url}/v1  OPENAI_API_KEY=any
    ANTHROPIC_BASE_URL={url}  ANTHROPIC_API_KEY=any
  Change the rules: edit, then commit, and the next call follows.
    {shell_line(["cd", str(rules)])}
    $EDITOR {SUPPORT}
    git commit --all -m 'Try another model'
  Look:
    {settings.admin_url}/status  {settings.admin_url}/metrics
    {pointsman} usage --controller {settings.controller_url}
  Logs: {logs}
{stays}"""
