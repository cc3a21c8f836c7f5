"""The workflows of .github: what they run, as whom, and in which order. make lint has actionlint."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

COMPARED = "vars.SNOWGATE_DELIVERY == 'on' && github.event.pull_request.head.repo.full_name == github.repository"


def load(file: Path) -> dict[str, Any]:
    """A file; YAML 1.1 takes the key `on` for true."""
    found = yaml.safe_load(file.read_text())
    return {"on" if key is True else key: value for key, value in found.items()}


@pytest.fixture(scope="module")
def workflows(root: Path) -> dict[str, dict[str, Any]]:
    """By the file's name, without .yml."""
    return {file.stem: load(file) for file in sorted((root / ".github" / "workflows").glob("*.yml"))}


@pytest.fixture(scope="module")
def set_up(root: Path) -> dict[str, Any]:
    return load(root / ".github" / "actions" / "set-up" / "action.yml")


def jobs(workflows: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each job, as in ("deploy.deploy", …)."""
    for file, workflow in workflows.items():
        for name, job in workflow["jobs"].items():
            yield f"{file}.{name}", job


def steps(workflows: dict[str, dict[str, Any]], set_up: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for _, job in jobs(workflows):
        yield from job.get("steps", [])
    yield from set_up["runs"]["steps"]


def test_every_command_is_a_make_target_that_exists(
    root: Path, workflows: dict[str, dict[str, Any]], set_up: dict[str, Any]
) -> None:
    commands = [step["run"] for step in steps(workflows, set_up) if "run" in step]
    targets = set()
    for command in commands:
        found = re.fullmatch(r'make ([a-z-]+)( [A-Z]+=[a-z./-]+)*( >> "\$GITHUB_(OUTPUT|STEP_SUMMARY)")?', command)
        assert found, command
        targets.add(found[1])
    helped = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    told = set(re.findall(r"^  make ([a-z -]+?)  ", helped, re.MULTILINE))
    assert targets <= {name for names in told for name in names.split()}
    assert {"test", "assembly", "diff-report", "diff-comment", "deploy"} <= targets


def test_nothing_from_outside_is_part_of_a_command(root: Path) -> None:
    """Expressions are filled in before the shell reads a command: text from a form or a pull request would be run."""
    for file in (root / ".github").rglob("*.yml"):
        for line in file.read_text().splitlines():
            assert not (re.match(r"\s*(- )?run:", line) and "${{" in line), f"{file.name}: {line}"


def test_every_action_is_this_repositorys_or_pinned_by_hash_with_its_version(
    root: Path, workflows: dict[str, dict[str, Any]], set_up: dict[str, Any]
) -> None:
    files = list((root / ".github").rglob("*.yml"))
    lines = [line.strip() for file in files for line in file.read_text().splitlines() if "uses:" in line]
    foreign = {line.partition("uses: ")[2] for line in lines if "uses: ./" not in line}
    for action in foreign:
        assert re.fullmatch(r"[a-z-]+/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    # One hash for each action, and no more actions than these.
    assert sorted(action.partition("@")[0] for action in foreign) == [
        *("actions/cache", "actions/checkout", "actions/download-artifact", "actions/setup-python"),
        *("actions/upload-artifact", "aws-actions/configure-aws-credentials"),
    ]
    own = {line.partition("uses: ")[2] for line in lines if "uses: ./" in line}
    for path in own:
        assert (root / path).is_file() or (root / path / "action.yml").is_file(), path


def test_what_may_be_written_and_who_gets_a_token_is_named_job_by_job(workflows: dict[str, dict[str, Any]]) -> None:
    for workflow in workflows.values():
        assert workflow["permissions"] == {"contents": "read"}
    login = {"contents": "read", "id-token": "write"}
    assert {name: job["permissions"] for name, job in jobs(workflows) if "permissions" in job} == {
        "pull-request.diff": login,
        "pull-request.comment": {"contents": "read", "pull-requests": "write"},
        "deliver.dev": login,
        "deliver.staging": login,
        "deliver.prod": login,
        "redeploy.deploy": login,
        "deploy.deploy": login,
    }


def test_no_key_and_no_secret_is_asked_for_and_no_checkout_keeps_its_token(root: Path) -> None:
    for file in (root / ".github").rglob("*.yml"):
        text = file.read_text()
        assert "secrets." not in text
        assert "aws-access-key-id" not in text
        assert text.count("actions/checkout@") == text.count("persist-credentials: false")


def test_a_pull_request_runs_as_itself_and_a_fork_logs_in_nowhere(workflows: dict[str, dict[str, Any]]) -> None:
    triggers = {name: workflow["on"] for name, workflow in workflows.items()}
    assert triggers["pull-request"] == "pull_request"
    assert "pull_request_target" not in str(triggers)
    assert "workflow_run" not in str(triggers)
    pull_request = workflows["pull-request"]["jobs"]
    assert pull_request["diff"]["if"] == COMPARED
    assert pull_request["diff"]["strategy"]["matrix"]["environment"] == ["dev", "staging", "prod"]
    # Comparisons may fail: the comment says so then. Without any the summary says why.
    comment = pull_request["comment"]
    assert comment["if"] == "${{ !cancelled() && needs.assembly.result == 'success' }}"
    assert [step.get("if") for step in comment["steps"][-2:]] == [None, "needs.diff.result != 'skipped'"]


def test_main_goes_to_dev_then_staging_then_prod_once_tests_and_assembly_are_there(
    workflows: dict[str, dict[str, Any]],
) -> None:
    assert workflows["deliver"]["on"] == {"push": {"branches": ["main"]}}
    delivered = workflows["deliver"]["jobs"]
    assert [job["with"]["environment"] for job in delivered.values() if "with" in job] == ["dev", "staging", "prod"]
    assert delivered["dev"]["needs"] == ["test", "assembly"]
    assert delivered["staging"]["needs"] == "dev"
    assert delivered["prod"]["needs"] == "staging"
    # A condition would let a job run although what it needs has failed.
    assert "if" not in delivered["staging"]
    assert "if" not in delivered["prod"]


def test_a_deploy_is_its_environments_alone_and_is_never_stopped(workflows: dict[str, dict[str, Any]]) -> None:
    deploy = workflows["deploy"]["jobs"]["deploy"]
    assert deploy["environment"] == "${{ inputs.environment }}"
    assert deploy["concurrency"] == {"group": "deploy-${{ inputs.environment }}", "cancel-in-progress": False}
    calls = [job["uses"] for _, job in jobs(workflows) if "environment" in job.get("with", {})]
    assert calls == ["./.github/workflows/deploy.yml"] * 4


def test_what_is_called_gets_what_it_takes(root: Path, workflows: dict[str, dict[str, Any]]) -> None:
    for name, job in jobs(workflows):
        if "uses" not in job:
            continue
        called = load(root / job["uses"])["on"]
        inputs = called["workflow_call"]["inputs"] if isinstance(called, dict) else {}
        required = {key for key, value in inputs.items() if value.get("required")}
        assert required <= set(job.get("with", {})) <= set(inputs), name


def test_only_a_commit_of_main_is_deployed_by_hand_and_it_is_checked_before_it_runs(
    workflows: dict[str, dict[str, Any]],
) -> None:
    assert set(workflows["redeploy"]["on"]) == {"workflow_dispatch"}
    redeploy = workflows["redeploy"]["jobs"]
    assert redeploy["commit"]["if"] == "vars.SNOWGATE_DELIVERY == 'on' && github.ref == 'refs/heads/main'"
    assert "ref" not in redeploy["commit"]["steps"][0]["with"]
    assert redeploy["assembly"]["needs"] == "commit"
    assert redeploy["deploy"]["needs"] == ["commit", "assembly"]
    for name in ("assembly", "deploy"):
        assert redeploy[name]["with"]["ref"] == "${{ needs.commit.outputs.commit }}"


def test_every_job_of_its_own_has_an_end(workflows: dict[str, dict[str, Any]]) -> None:
    for name, job in jobs(workflows):
        assert "uses" in job or job["timeout-minutes"] <= 120, name


def test_what_was_packed_is_deployed_as_it_is_and_without_a_question(root: Path) -> None:
    def commands(*words: str) -> str:
        options = {"capture_output": True, "text": True, "check": True}
        return subprocess.run(["make", "--dry-run", "deploy", "ENV=dev", *words], cwd=root, **options).stdout

    packed = commands("ASSEMBLY=build/some.tar.gz", "APPROVED=yes")
    assert "--file build/some.tar.gz --directory build/assembly" in packed
    assert packed.strip().endswith("--require-approval never --app build/assembly/cdk.out")
    by_hand = commands()
    assert "cdk deploy 'dev/*'" in by_hand
    assert "--app" not in by_hand
    assert "--require-approval" not in by_hand


@pytest.fixture
def repository(root: Path, tmp_path: Path) -> Path:
    """A repository with this Makefile, a commit of main called v1, a merged branch, and one that main never had."""
    (tmp_path / "Makefile").write_text((root / "Makefile").read_text())
    commit = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "--quiet", "--allow-empty")
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        (*commit, "--message=First"),
        ("tag", "v1"),
        ("switch", "--quiet", "--create", "merged"),
        (*commit, "--message=Half done"),
        ("switch", "--quiet", "main"),
        (*commit[:4], "merge", "--quiet", "--no-ff", "--message=Second", "merged"),
        ("update-ref", "refs/remotes/origin/main", "HEAD"),
        ("switch", "--quiet", "--create", "other"),
        (*commit, "--message=Unread"),
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def check_ref(repository: Path, ref: str) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {"REF": ref}
    return subprocess.run(["make", "check-ref"], cwd=repository, env=variables, capture_output=True, text=True)


def test_a_commit_that_main_had_is_named_and_another_is_refused(repository: Path) -> None:
    first = subprocess.run(["git", "rev-parse", "v1"], cwd=repository, capture_output=True, text=True).stdout
    assert check_ref(repository, "v1").stdout == f"commit={first}"
    for branch in ("other", "merged"):
        refused = check_ref(repository, branch)
        assert refused.returncode == 2
        assert "main never had it. Merge it first" in refused.stderr
        assert refused.stdout == ""


@pytest.mark.parametrize("ref", ["nothing", "--help", "", '"; touch made; "', "$(touch made)", "v1 v1"])
def test_what_is_no_commit_is_refused_and_never_run(repository: Path, ref: str) -> None:
    found = check_ref(repository, ref)
    assert (found.returncode, found.stdout) == (2, "")
    assert not (repository / "made").exists()
