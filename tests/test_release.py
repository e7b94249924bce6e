"""What a release is made of: the workflow, the versions, the changelog."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import payex_billing
import yaml

from tests.support import ROOT

WORKFLOW: Any = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
PROJECT: Any = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def steps() -> list[Any]:
    return [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def test_every_action_is_pinned_to_a_commit() -> None:
    loose = [
        step["uses"] for step in steps() if "uses" in step and not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])
    ]
    assert loose == []


def test_every_command_of_the_workflow_is_one_of_ours() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    run = [
        step["run"]
        for job, each in WORKFLOW["jobs"].items()
        if job != "publish"
        for step in each["steps"]
        if "run" in step
    ]
    assert run
    for command in run:
        program, target, *_ = command.split()
        assert (program == "make" and target in targets) or command == "python tools/portable.py"


def test_only_the_job_that_publishes_may_and_it_does_nothing_else() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    allowed = {name: job["permissions"] for name, job in WORKFLOW["jobs"].items() if "permissions" in job}
    assert allowed == {"publish": {"id-token": "write"}}
    publish = WORKFLOW["jobs"]["publish"]
    assert set(publish["needs"]) == {"test", "matrix", "systems", "dist"}
    assert not any("checkout" in step.get("uses", "") for step in publish["steps"])


def test_the_matrix_has_every_python_that_is_promised_and_to_be_had() -> None:
    promised = {each.rpartition(" ")[2] for each in PROJECT["classifiers"] if "Python :: 3." in each}
    tried = {each["name"] for each in WORKFLOW["jobs"]["matrix"]["strategy"]["matrix"]["include"]}
    assert tried == {*promised, "lowest"}


def test_the_systems_that_are_promised_are_those_that_ci_runs_on() -> None:
    classifiers = {
        "ubuntu": "Operating System :: POSIX :: Linux",
        "macos": "Operating System :: MacOS",
        "windows": "Operating System :: Microsoft :: Windows",
    }
    ours = [job for name, job in WORKFLOW["jobs"].items() if name in {"test", "systems"}]
    runners = [
        runner
        for job in ours
        for runner in job.get("strategy", {"matrix": {"system": [job["runs-on"]]}})["matrix"]["system"]
    ]
    promised = {each for each in PROJECT["classifiers"] if each.startswith("Operating System")}
    assert {classifiers[runner.partition("-")[0]] for runner in runners} == promised


def test_a_tag_is_checked_before_anything_is_published() -> None:
    checks = [step for step in WORKFLOW["jobs"]["dist"]["steps"] if "release-check" in step.get("run", "")]
    assert [(each["run"], each["if"]) for each in checks] == [
        ('make release-check TAG="${{ github.ref_name }}"', "startsWith(github.ref, 'refs/tags/v')")
    ]
    assert "dist" in WORKFLOW["jobs"]["publish"]["needs"]


def test_the_changelog_names_the_version_or_what_is_coming() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", changelog, re.MULTILINE)
    assert headings[0] == "Unreleased" or headings[0].startswith(f"{payex_billing.__version__} ")
    assert set(re.findall(r"^### (.+)$", changelog, re.MULTILINE)) <= {
        "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security",
    }  # fmt: skip


def test_every_dependency_has_a_bound_below_and_above() -> None:
    extras = [each for extra in PROJECT["optional-dependencies"].values() for each in extra]
    named = [each for each in (*PROJECT["dependencies"], *extras) if not each.startswith("payex-billing[")]
    assert [each for each in named if ">=" not in each] == []
    # The versions of these are dates or only grow, so an upper bound would say nothing.
    free = ("attrs", "cryptography")
    assert [each for each in named if "<" not in each and not each.startswith(free)] == []


RELATIVE = "[safety](docs/safety.md) [the tag](#top) [elsewhere](https://example.com/a.md)\n\n![a picture](docs/images/plan.svg)\n"


def readme(repository: str, text: str = RELATIVE) -> str:
    import importlib.util

    spec = importlib.util.spec_from_file_location("index_readme", ROOT / "tools" / "index_readme.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.for_the_index(text, repository, "1.2.3"))


def test_readme_on_the_package_index_links_to_the_files_of_the_release() -> None:
    shown = readme("https://git.example/owner/name/")
    assert "[safety](https://git.example/owner/name/blob/v1.2.3/docs/safety.md)" in shown
    assert "![a picture](https://git.example/owner/name/raw/v1.2.3/docs/images/plan.svg)" in shown
    assert "[the tag](#top) [elsewhere](https://example.com/a.md)" in shown


def test_readme_on_the_package_index_has_no_link_that_leads_nowhere() -> None:
    assert readme("") == "safety [the tag](#top) [elsewhere](https://example.com/a.md)\n\n"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for repository in ("", "https://git.example/owner/name"):
        shown = readme(repository, text)
        assert re.findall(r"\]\((?!https?:|#)[^)]*\)", shown) == []
        assert "\n$ pip install payex-billing\n" in shown
