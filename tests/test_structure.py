"""Invariants of the repository itself: sizes, names, paths, the lock file, what the README promises."""

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "streamroute"
LOCK = ROOT / "requirements.lock"

MAX_SOURCE_LINES = 400
"""Past this a file usually has a second job that wants a file of its own."""

README_COMMANDS = (
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/streamroute demo",
    ".venv/bin/python -m pytest -q",
)

MACHINE_PATH = re.compile(r"(?<![A-Za-z0-9_.-])/(?:work|farm|root|home|Users)/[A-Za-z0-9_.]")

SLEEPS = {("time", "sleep"), ("asyncio", "sleep"), ("anyio", "sleep")}


def source_files() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def files_of_tests() -> list[Path]:
    return sorted((ROOT / "tests").rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def repository_files() -> tuple[Path, ...]:
    """Tracked files and those about to be; skips outside a git checkout, such as in an unpacked source archive."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nobody says which files belong to the repository")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout.decode()
    return tuple(path for name in listing.split("\0") if name and (path := ROOT / name).is_file())


def text_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []  # a binary file


def test_source_files_stay_small() -> None:
    """A file has one job: above 400 lines there is a second one in it."""
    assert source_files()
    sizes = {relative(path): len(path.read_text().splitlines()) for path in source_files()}
    assert {path: size for path, size in sizes.items() if size > MAX_SOURCE_LINES} == {}


def test_every_module_says_what_it_is_for() -> None:
    """A module begins with a docstring."""
    silent = [relative(path) for path in source_files() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_every_package_is_a_real_one() -> None:
    """Each folder with modules has an `__init__.py`: import-linter and the wheel see it."""
    folders = {path.parent for path in source_files()}
    assert [relative(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_every_package_with_code_is_tested_in_its_mirror() -> None:
    """The tests of `src/streamroute/x/` are found in `tests/x/`."""
    packages = {
        path.relative_to(SOURCE).parts[0] for path in source_files() if path.parent != SOURCE and has_code(path)
    }
    assert [name for name in sorted(packages) if not any((ROOT / "tests" / name).rglob("test_*.py"))] == []


def has_code(path: Path) -> bool:
    """Whether a module defines anything, rather than documenting or passing on what others define."""
    body = ast.parse(path.read_text()).body
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in body)


def test_tests_do_not_sleep() -> None:
    """A test waits for what it needs, never for time to pass: only `sleep(0)` is allowed."""
    assert [found for path in files_of_tests() for found in sleeps(path)] == []


def sleeps(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value
        if not (isinstance(owner, ast.Name) and (owner.id, node.func.attr) in SLEEPS):
            continue
        is_zero = bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
        if not is_zero:
            yield f"{relative(path)}:{node.lineno}"


def test_no_file_names_a_place_on_one_machine() -> None:
    """The repository works wherever it is cloned: no absolute path of somebody's machine in it."""
    found = [
        f"{relative(path)}:{number}: {line.strip()[:100]}"
        for path in repository_files()
        for number, line in enumerate(text_lines(path), 1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


def test_readme_has_its_two_commands() -> None:
    """A newcomer copies one line to see it run and one line to test it; CI runs the very same."""
    readme = ROOT / "README.md"
    lines = [line.strip().removeprefix("$ ") for line in text_lines(readme)] if readme.exists() else []
    assert [command for command in README_COMMANDS if command not in lines] == []
    assert README_COMMANDS[1] in (ROOT / ".ci" / "run").read_text()


def test_links_between_documents_lead_somewhere() -> None:
    """A relative link in a document names a file or folder that exists."""
    link = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)")
    broken = [
        f"{relative(path)}: {target}"
        for path in repository_files()
        if path.suffix == ".md"
        for target in link.findall(without_code(path.read_text(encoding="utf-8")))
        if not (path.parent / unquote(target)).exists()
    ]
    assert broken == []


def without_code(markdown: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", markdown, flags=re.DOTALL)


def test_scripts_can_be_run() -> None:
    """What CONTRIBUTING tells people to run has its executable bit and says with what it is run."""
    scripts = [path for path in repository_files() if relative(path).startswith(("scripts/", ".ci/"))]
    assert scripts
    for path in scripts:
        assert os.access(path, os.X_OK), f"{relative(path)} is not executable"
        assert path.read_bytes().startswith(b"#!/usr/bin/env "), f"{relative(path)} has no shebang"


def locked_versions() -> dict[str, str]:
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", LOCK.read_text(), flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


def test_lock_fits_what_the_project_asks_for() -> None:
    """Every dependency, of the package, of an extra and of the build, is pinned to a version that it accepts."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    wanted += [requirement for extra in extras for requirement in extra]
    locked = locked_versions()
    unfit = [
        str(requirement)
        for requirement in map(Requirement, wanted)
        if requirement.name != project["project"]["name"]
        and not requirement.specifier.contains(locked.get(canonicalize_name(requirement.name), "0"), prereleases=True)
    ]
    assert unfit == [], "run scripts/lock"


def test_lock_has_hashes_and_no_addresses() -> None:
    """Any index may serve the packages, since only the hashes decide what is accepted."""
    text = LOCK.read_text()
    entries = [entry for entry in re.split(r"\n(?=[A-Za-z0-9])", text) if re.match(r"[A-Za-z0-9]", entry)]
    names = {entry.partition("==")[0] for entry in entries}  # some have a version for each of several Pythons
    assert {canonicalize_name(name) for name in names} == set(locked_versions())
    assert names
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert re.findall(r"^.*(?:://|--index|--find-links|--trusted-host).*$", text, flags=re.MULTILINE) == []
