"""The tools of a release, the container, and what contributors are asked."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import payex_billing
import pytest
import yaml

from tests.support import ROOT
from tools import api_diff, dist, lock, portable, release_check

NUMBER = payex_billing.__version__
CHANGELOG = f"# Changelog\n\n## {NUMBER} – 2026-12-01\n\n### Added\n"
URLS = '\n[project.urls]\nRepository = "https://example.com/r"\nChangelog = "https://example.com/c"\n'
CONTAINER = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n", " ", (ROOT / "Containerfile").read_text(encoding="utf-8")).splitlines()
    if line and not line.startswith("#")
]

# the version and the release


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that can be released."""
    target = tmp_path / "wrapper" / "payex_billing" / "_version.py"
    target.parent.mkdir(parents=True)
    shutil.copy(ROOT / "wrapper" / "payex_billing" / "_version.py", target)
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(text + URLS, encoding="utf-8")
    return tmp_path


def test_a_version_that_goes_with_its_tag_and_its_changelog_can_be_released(project: Path) -> None:
    assert list(release_check.problems(project, f"v{NUMBER}")) == []


def test_a_tag_that_is_not_the_version_is_refused(project: Path) -> None:
    assert list(release_check.problems(project, "v9.9.9")) == [
        f"the tag v9.9.9 is not v{NUMBER}, the version of wrapper/payex_billing/_version.py"
    ]


def test_a_second_place_for_the_version_is_refused(project: Path) -> None:
    file = project / "pyproject.toml"
    file.write_text(
        file.read_text(encoding="utf-8").replace('dynamic = ["version", "readme"]', 'version = "9.9.9"'),
        encoding="utf-8",
    )
    assert "the version is in _version.py only" in "".join(release_check.problems(project, None))


@pytest.mark.parametrize("heading", ["Unreleased", "9.9.9 – 2026-12-01", NUMBER])
def test_a_changelog_without_the_version_and_its_date_is_refused(project: Path, heading: str) -> None:
    (project / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n", encoding="utf-8")
    assert "the first heading must be" in "".join(release_check.problems(project, None))


@pytest.mark.parametrize(
    ("before", "now", "refused"),
    [("v0.1.0", "0.1.1", True), ("v0.1.1", "0.2.0", False), ("v1.2.0", "1.3.0", True), ("v1.3.0", "2.0.0", False)],
)
def test_a_change_that_breaks_programs_needs_a_version_that_allows_it(before: str, now: str, refused: bool) -> None:
    found = list(release_check.breaks(before, now, ["Billing.get: removed"]))
    assert found == (
        ["Billing.get: removed: needs a new " + ("second" if now[0] == "0" else "first") + " number"] if refused else []
    )


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("def get(number: str) -> int: ...\n", []),
        ("def get(number: str, more: int = 1) -> int: ...\ndef new() -> None: ...\n", []),
        ("def get() -> int: ...\n", ["get(number): Parameter was removed"]),
        ("def get(number: str, more: int) -> int: ...\n", ["get(more): Parameter was added as required"]),
        ("", ["get: Public object was removed"]),
    ],
)
def test_the_api_diff_names_what_can_break_a_program(tmp_path: Path, after: str, said: list[str]) -> None:
    for folder, text in (("before", "def get(number: str) -> int: ...\n"), ("after", after)):
        package = tmp_path / folder / "some_package"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(text)
    found = api_diff.between("some_package", tmp_path / "before", tmp_path / "after")
    assert [line.partition(": ")[2] for line in found] == said


def test_the_api_diff_sees_what_our_package_exports_and_nothing_else(tmp_path: Path) -> None:
    copy = tmp_path / "payex_billing"
    shutil.copytree(ROOT / "wrapper" / "payex_billing", copy, ignore=shutil.ignore_patterns("__pycache__"))
    for file, old, new in (
        ("_sync/client.py", "    def look_up(", "    def find("),
        ("models.py", "class CustomerCharge(", "class Levelled("),
        ("reconcile/_limits.py", "    def load(", "    def read("),
        ("_text.py", "def counted(", "def numbered("),
    ):
        text = (copy / file).read_text(encoding="utf-8")
        assert text.count(old) == 1
        (copy / file).write_text(text.replace(old, new), encoding="utf-8")
    found = {line.partition(": ")[2] for line in api_diff.between("payex_billing", ROOT / "wrapper", tmp_path)}
    assert found == {
        "Billing.look_up: Public object was removed",
        "CustomerCharge: Public object was removed",
        "Limits.load: Public object was removed",
    }


def test_the_api_diff_reads_our_packages() -> None:
    for package, room in api_diff.PACKAGES.items():
        assert api_diff.between(package, ROOT / room, ROOT / room) == []


def test_one_package_can_be_locked_alone() -> None:
    alone, all_of_them = lock.command("a.in", "a.txt", [], ["attrs", "ruff"]), lock.command("a.in", "a.txt", [], [])
    assert [each for each in alone if each.startswith("--upgrade")] == [
        "--upgrade-package=attrs",
        "--upgrade-package=ruff",
    ]
    assert [each for each in all_of_them if each.startswith("--upgrade")] == ["--upgrade"]


def test_the_portable_tests_exist() -> None:
    assert [name for name in portable.TESTS if not (ROOT / "tests" / f"{name}.py").exists()] == []


# the container


def test_the_container_has_bases_with_a_tag() -> None:
    bases = [rest for word, rest in CONTAINER if word == "FROM"]
    assert len(bases) == 2
    for base in bases:
        assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim-[a-z]+( AS build)?", base)


def test_the_container_does_not_run_as_root() -> None:
    last = CONTAINER[max(index for index, (word, _) in enumerate(CONTAINER) if word == "FROM") :]
    users = [rest for word, rest in last if word == "USER"]
    assert users
    assert users[-1] not in {"0", "root"}
    assert f"--uid {users[-1]} " in next(rest for word, rest in last if word == "RUN")


def test_the_container_adds_nothing_from_elsewhere_and_no_secret() -> None:
    words = {word for word, _ in CONTAINER}
    assert words <= {
        "FROM",
        "WORKDIR",
        "RUN",
        "COPY",
        "ENV",
        "USER",
        "VOLUME",
        "EXPOSE",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    }
    environment = " ".join(rest for word, rest in CONTAINER if word == "ENV")
    assert "PAYEX_" not in environment
    installs = [rest for word, rest in CONTAINER if word == "RUN" and "pip install" in rest]
    assert all("--require-hashes" in each or "--no-deps" in each for each in installs)


def test_the_container_copies_only_what_exists_and_what_is_not_ignored() -> None:
    kept = {
        line.removeprefix("!") for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = [rest.split()[:-1] for word, rest in CONTAINER if word == "COPY" and "--from" not in rest]
    names = {name for each in copied for name in each}
    assert names == kept
    assert all((ROOT / name).exists() for name in names)


def test_what_the_container_copies_makes_the_wheel(tmp_path: Path) -> None:
    for line in (rest.split() for word, rest in CONTAINER if word == "COPY" and "--from" not in rest):
        for name in line[:-1]:
            target = tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, target, ignore=skipped) if (ROOT / name).is_dir() else shutil.copy(
                ROOT / name, target
            )
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path / "dist"),
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in (tmp_path / "dist").iterdir()] == [f"payex_billing-{NUMBER}-py3-none-any.whl"]


# contributors


@pytest.mark.parametrize("form", ["bug", "contract", "request"])
def test_an_issue_form_is_whole(form: str) -> None:
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text(encoding="utf-8")
    found: Any = yaml.safe_load(text)
    assert {"name", "description", "body"} <= found.keys()
    fields = [each for each in found["body"] if each["type"] != "markdown"]
    assert len({each["id"] for each in fields}) == len(fields) > 0
    assert all(each["attributes"]["label"] for each in fields)
    assert all(each["attributes"]["options"] for each in fields if each["type"] == "dropdown")


def test_dependabot_looks_at_the_actions() -> None:
    found: Any = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))
    assert (found["version"], [each["package-ecosystem"] for each in found["updates"]]) == (2, ["github-actions"])


def test_editors_write_files_as_the_linters_want_them() -> None:
    settings = ConfigParser()
    settings.read_string("[top]\n" + (ROOT / ".editorconfig").read_text(encoding="utf-8"))
    assert settings["top"]["root"] == "true"
    assert (settings["Makefile"]["indent_style"], settings["*.{py,toml}"]["indent_size"]) == ("tab", "4")
    ruff = re.search(r"^line-length = (\d+)$", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert ruff
    assert settings["*"]["max_line_length"] == ruff[1]


def test_the_list_of_dependencies_is_made_with_the_version_of_the_release() -> None:
    project = tomllib.loads(dist.with_version((ROOT / "pyproject.toml").read_text(encoding="utf-8"), "1.2.3"))[
        "project"
    ]
    assert (project["version"], "dynamic" in project) == ("1.2.3", False)
