"""Where a result came from: machine, versions, commit, date, command. Without them a figure says nothing."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import streamroute
from harness.processes import BENCH

_PACKAGES = ("aiohttp", "uvloop", "orjson", "anyio")


def run_facts() -> dict[str, object]:
    """Return the facts of this run, for the head of a committed result."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", str(Path("bench") / Path(sys.argv[0]).name), *sys.argv[1:]]),
        "git_commit": _commit(),
        "streamroute": streamroute.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: version(name) for name in _PACKAGES},
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load_average": [round(each, 2) for each in os.getloadavg()],
    }


def _commit() -> str:
    """Return the commit, with `+changes` where the product, which is what was measured, differs from it."""
    try:
        commit = _git("rev-parse", "HEAD")
        has_changes = bool(_git("status", "--porcelain", "--", "src"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+changes" if has_changes else "")


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=BENCH.parent, capture_output=True, text=True, check=True)
    return result.stdout.strip()


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
