"""Run scripts of rules in a process whose hub is a local server.

    python tests/hub_jobs.py jobs.json

`HF_ENDPOINT` is read when `huggingface_hub` is imported, so these jobs need a process
of their own. `jobs.json` is a list of the arguments of `run_script`.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent


def run_jobs(
    folder: Path, endpoint: str, jobs: list[dict[str, Any]], **more: str
) -> None:
    """Run the jobs one after the other; each leaves its log, and its outputs if well.

    Args:
        folder: for the hub's cache and the list of jobs.
        endpoint: address of the server.
        jobs: arguments of `run_script`.
        more: further environment variables.
    """
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs, default=str))
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder / "hf"),
        "PYTHONPATH": f"{TESTS}:{TESTS.parent / 'scripts'}",
        **more,
    }
    subprocess.run([sys.executable, __file__, path], env=environment, check=True)


def main() -> None:
    from test_corpus_support import run_script

    for job in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        inputs = {name: _path(value) for name, value in job["inputs"].items()}
        outputs = {name: Path(value) for name, value in job["outputs"].items()}
        log, wildcards = Path(job["log"]), job.get("wildcards", {})
        with contextlib.suppress(SystemExit):
            run_script(job["script"], job["config"], inputs, outputs, log, **wildcards)


def _path(value: Any) -> Any:
    return [Path(v) for v in value] if isinstance(value, list) else Path(value)


if __name__ == "__main__":
    main()
