"""The policies of floe-validate: the examples of each policy, and rules that all policies follow."""

from __future__ import annotations

import datetime
import importlib
import json
import pkgutil
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from floe import repo
from floe.contract.compiling import compile_environment
from floe.kubernetes.objects import objects
from floe.kubernetes.schemas.catalog import Catalog
from floe.validate import policies
from floe.validate.findings import Finding
from floe.validate.policies import Policy, Stage, registry
from floe.validate.policies.policy import Hit
from floe.validate.schema import Schemas
from floe.validate.stream import Stream
from floe.validate.validation import Report, validate
from floe.validate.waivers import PREFIX
from floe.yaml import Document
from forks import with_known_values
from policy_examples import EXAMPLES, written
from policy_examples.builders import Edit, Example, Json, annotated, config, environment, named, pod, service
from policy_examples.repository import back, bump
from policy_examples.secrets import CREDENTIALS
from policy_examples.waivers import REASON, SOON, waiving
from rendering import copy_repository

SCHEMAS = Schemas()


def check(*documents: Json, brought: dict[str, tuple[str, ...]] | None = None) -> list[Finding]:
    """The findings for a stream without an environment."""
    items = objects((Document(number, 1, value) for number, value in enumerate(documents, 1)), "test")
    return policies.check(Stream(list(items), brought=brought or {}), SCHEMAS).findings


def report(*documents: Json, environment: str | None = None, checkout: repo.Checkout | None = None) -> Report:
    content = "\n---\n".join(map(json.dumps, documents)).encode()
    return validate(content, "test", SCHEMAS, environment, checkout=checkout or repo.current())


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    command = [str(shutil.which("git")), "-C", str(folder), *identity, *arguments]
    subprocess.run(command, check=True, capture_output=True)


def edit(folder: Path, edits: Sequence[Edit]) -> dict[Path, str]:
    """Change files; returns what each of them contained before."""
    before: dict[Path, str] = {}
    for one in edits:
        file = folder / one.file
        text = file.read_text()
        before.setdefault(file, text)
        assert one.old in text
        file.write_text(text.replace(one.old, one.new))
    return before


def in_a_checkout(example: Example, folder: Path) -> list[Finding]:
    """The findings for a stream of an environment, in a repository with the changes of the example."""
    if example.history:
        with_known_values(folder)
        git(folder, "init", "--initial-branch=main")
    for changes in example.history:
        edit(folder, changes)
        git(folder, "add", "--all")
        git(folder, "commit", "--allow-empty", "--message=x")
    before = edit(folder, example.edits)
    documents = json.loads(json.dumps(example.documents))
    for document in documents:
        for key, value in document.get("data", {}).items():
            if "\n" not in value and (folder / value).is_file():
                document["data"][key] = (folder / value).read_bytes().decode()
    try:
        return report(*documents, environment=example.environment, checkout=repo.Checkout(folder)).findings
    finally:
        for file, text in before.items():
            file.write_text(text)


@pytest.fixture(scope="module")
def one_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with known values, for all examples that change files and commit nothing."""
    folder = tmp_path_factory.mktemp("checkout") / "of all"
    copy_repository(folder)
    with_known_values(folder)
    return folder


CASES = [(code, name) for code, examples in EXAMPLES.items() for name in examples]


@pytest.mark.parametrize(("code", "name"), CASES, ids=[f"{code} {name}" for code, name in CASES])
def test_example(code: str, name: str, request: pytest.FixtureRequest) -> None:
    example = EXAMPLES[code][name]
    findings = (
        in_a_checkout(example, request.getfixturevalue("checkout" if example.history else "one_checkout"))
        if example.environment
        else check(*example.documents, brought=example.brought)
    )
    messages = [finding.message for finding in findings if finding.code == code]
    assert len(messages) == len(example.says), messages
    for message, words in zip(messages, example.says, strict=True):
        assert words in message


policy = pytest.mark.parametrize("policy", policies.POLICIES, ids=lambda policy: policy.code)


def of_an_example(text: str, policy: Policy, request: pytest.FixtureRequest) -> set[str]:
    """The codes of the findings that are not waived."""
    if policy.stage is Stage.REPOSITORY:
        written.write(text, request.getfixturevalue("checkout"))
    result = validate(written.stream(text), "an example", SCHEMAS, checkout=repo.current())
    assert policy.code not in {omission.code for omission in result.left_out}
    return {finding.code for finding in result.findings if not finding.waived}


@policy
def test_the_example_that_fails(policy: Policy, request: pytest.FixtureRequest) -> None:
    assert of_an_example(policy.fails, policy, request) == {policy.code}


@policy
def test_the_example_that_passes(policy: Policy, request: pytest.FixtureRequest) -> None:
    assert of_an_example(policy.passes, policy, request) == set()


def test_further_examples_belong_to_existing_policies() -> None:
    assert set(EXAMPLES) <= {policy.code for policy in policies.POLICIES}


SENTENCES = re.compile(r"([A-Z][^.?!]*(?:\.\S[^.?!]*)*\. )*[A-Z][^.?!]*(?:\.\S[^.?!]*)*\.")
"""Sentences, each from a capital letter to a full stop. A stop within a word, as in floe.yaml, does not end one."""


@policy
def test_the_texts_of_a_policy_are_full_sentences(policy: Policy) -> None:
    assert SENTENCES.fullmatch(policy.why)
    assert SENTENCES.fullmatch(policy.remedy)
    assert not policy.waiver or SENTENCES.fullmatch(policy.waiver)
    assert re.fullmatch(r"[A-Z].*[^.]", policy.title)


def other(code: str, stage: Stage = Stage.STREAM) -> Policy:
    """An additional policy, which reports every object."""
    entry = replace(policies.POLICIES[0], code=code, stage=stage, waivable=True)
    return entry(lambda stream, _: [Hit(item, "no") for item in stream.objects])


def test_additional_policies_do_not_change_the_findings_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """For any codes: the first part can run separately, waivers are checked last, findings are sorted by number."""
    expired = waiving("FLOE010", f"until 2020-01-31: {REASON}")
    items = list(objects([Document(1, 1, expired)], "test"))
    codes = ["FLOE010", "FLOE025"]
    assert [finding.code for finding in policies.check(Stream(items), SCHEMAS).findings] == codes
    added = SimpleNamespace(a=other("FLOE1000"), b=other("FLOE009"), c=other("FLOE999", Stage.API_SERVER))
    more = registry.collect([SimpleNamespace(**{one.code: one for one in policies.POLICIES}), added])
    monkeypatch.setattr(policies, "POLICIES", more)
    codes = ["FLOE009", *codes, "FLOE999", "FLOE1000"]
    assert [finding.code for finding in policies.check(Stream(items), SCHEMAS).findings] == codes
    apart = policies.first(items, SCHEMAS)
    assert [hits for hits, _ in apart if hits] == [[(0, Hit(apart[-1][0][0][1].item, "no"))]]
    outcome = policies.check(Stream(items), SCHEMAS, apart=lambda: apart)
    assert [finding.code for finding in outcome.findings] == codes


def test_every_module_of_policies_is_in_the_registry() -> None:
    names = [module.name for module in pkgutil.iter_modules(policies.__path__)]
    modules = [importlib.import_module(f"{policies.__name__}.{name}") for name in names]
    assert registry.collect(modules) == policies.POLICIES


def test_two_policies_cannot_have_one_code() -> None:
    with pytest.raises(ValueError, match="two policies have the code FLOE026"):
        registry.collect([SimpleNamespace(a=other("FLOE026")), SimpleNamespace(b=other("FLOE026"))])


@pytest.mark.parametrize("what", CREDENTIALS)
def test_no_finding_shows_a_credential(what: str) -> None:
    secret = CREDENTIALS[what]()
    wrong = pod(
        {"name": secret.splitlines()[0][:5], "image": f"https://u:{secret}@h", "args": [secret], "ports": secret}
    )
    findings = check(
        wrong, config("password", secret), annotated("token", secret), named("Secret", "s", data={"a": secret})
    )
    assert len(findings) >= 5
    assert not any(secret in repr(finding) for finding in findings)


def test_one_mistake_is_one_finding() -> None:
    assert [finding.code for finding in check({"spec": {}})] == ["FLOE002"]
    assert [finding.code for finding in check(named("Pods", "p"))] == ["FLOE002"]
    assert [finding.code for finding in check(environment("PASSWORD", CREDENTIALS["a JSON web token"]()))] == [
        "FLOE011"
    ]


def test_findings_have_a_position() -> None:
    text = (
        b"# comment\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: ns}\n---\n---\n\nkind: Pod\n"
    )
    result = validate(text, "some.yaml", SCHEMAS, checkout=repo.current())
    assert result.objects == 2
    (finding,) = result.findings
    assert (finding.source, finding.document, finding.line, finding.object) == ("some.yaml", 3, 9, "Pod (no name)")


def test_generated_orders_in_production_are_the_one_finding(checkout: Path) -> None:
    """Every other policy accepts them: the artifacts are compiled, and the pods can run them."""
    with_known_values(checkout)
    file = checkout / "overlays/prod/platform.yaml"
    file.write_text(f"{file.read_text()}synthetic: true\n")
    compiled = compile_environment(repo.current(), "prod")
    assert compiled.apps["ecommerce"].app.synthetic
    repo.current().artifacts_file("prod").write_text(compiled.text())

    (finding,) = report(config("a", "b"), environment="prod", checkout=repo.current()).findings

    assert (finding.code, finding.severity) == ("FLOE031", "error")
    line = file.read_text().splitlines().index("synthetic: true") + 1
    assert (finding.file, finding.file_line) == ("overlays/prod/platform.yaml", line)
    assert "Remove the line from `platform.yaml`" in finding.remedy


def test_findings_carry_no_control_characters() -> None:
    findings = check(named("ConfigMap", "a\x1b[31m\nb", data={"\x1b]0;x\x07": 1}))
    assert {finding.code for finding in findings} == {"FLOE002", "FLOE007"}
    assert all(finding.object.isprintable() and finding.message.isprintable() for finding in findings)


def test_secrets_of_the_environment_are_taken_from_its_platform_file() -> None:
    manifest = pod(imagePullSecrets=[{"name": "floe-postgres"}])
    manifest["metadata"]["annotations"] = {"floe-runtime.io/environment": "prod"}
    assert not validate(json.dumps(manifest).encode(), "x", SCHEMAS, checkout=repo.current()).findings
    manifest["metadata"]["annotations"] = {"floe-runtime.io/environment": "elsewhere"}
    stamped_elsewhere = json.dumps(manifest).encode()
    assert [
        finding.code for finding in validate(stamped_elsewhere, "x", SCHEMAS, checkout=repo.current()).findings
    ] == ["FLOE013"]
    assert not validate(stamped_elsewhere, "x", SCHEMAS, "prod", checkout=repo.current()).findings


def test_different_environments_in_a_stream_are_ignored() -> None:
    stamped = [annotated("floe-runtime.io/environment", name) for name in ("prod", "dev")]
    content = "\n---\n".join(map(json.dumps, stamped)).encode()
    assert validate(content, "x", SCHEMAS, checkout=repo.current()).environment is None
    assert validate(json.dumps(stamped[0]).encode(), "x", SCHEMAS, checkout=repo.current()).environment == "prod"


@pytest.mark.parametrize("release", Catalog().releases)
def test_every_release_has_usable_schemas(release: str) -> None:
    assert not validate(json.dumps(pod()).encode(), "x", Schemas(release), checkout=repo.current()).findings


def left_out(result: Report) -> dict[str, str]:
    return {omission.code: omission.reason for omission in result.left_out}


def test_policies_on_the_history_are_left_out_without_git(checkout: Path) -> None:
    assert checkout.is_dir()
    result = report(named("ConfigMap", "c"), environment="prod")
    assert not result.findings
    assert left_out(result).keys() == {"FLOE023", "FLOE024"}
    assert all("not a git repository" in reason for reason in left_out(result).values())
    assert not left_out(report(named("ConfigMap", "c"), environment="dev"))


def test_policies_on_the_history_are_left_out_in_a_shallow_clone(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bumped = bump("staging") + bump("prod")
    git(checkout, "init", "--initial-branch=main")
    for changes in ((), bumped, back(bump("staging"))):
        edit(checkout, changes)
        git(checkout, "add", "--all")
        git(checkout, "commit", "--message=x")
    git(tmp_path, "clone", "--depth=1", f"file://{checkout}", "shallow")
    assert not left_out(report(named("ConfigMap", "c"), environment="prod"))
    monkeypatch.setenv("FLOE_ROOT", str(tmp_path / "shallow"))
    result = report(named("ConfigMap", "c"), environment="prod")
    assert not result.findings
    assert left_out(result).keys() == {"FLOE023", "FLOE024"}
    assert all("git fetch --unshallow" in reason for reason in left_out(result).values())


def test_policies_on_the_repository_are_left_out_for_another_one() -> None:
    stamped = annotated("floe-runtime.io/environment", "elsewhere")
    reasons = left_out(report(stamped))
    assert reasons.keys() == {policy.code for policy in policies.POLICIES if policy.stage is Stage.REPOSITORY}
    assert set(reasons.values()) == {"there is no overlay 'elsewhere'"}


def test_references_are_not_checked_if_flux_renders_a_chart() -> None:
    release = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "r"}}
    chart = {"chart": "c", "sourceRef": {"kind": "HelmRepository", "name": "r"}}
    result = report(
        release | {"spec": {"interval": "1h", "chart": {"spec": chart}}}, pod(serviceAccountName="x"), service(app="y")
    )
    assert {finding.code for finding in result.findings} <= {"FLOE003"}
    assert {"FLOE013", "FLOE018"} <= left_out(result).keys()
    assert "HelmRelease r" in left_out(result)["FLOE018"]


def test_a_waiver_of_a_policy_that_was_left_out_is_no_finding() -> None:
    waiver = annotated(f"{PREFIX}FLOE024", f"until {SOON}: {REASON}")
    assert not report(waiver).findings
    (finding,) = report(waiver, environment="prod").findings
    assert (finding.code, finding.message) == ("FLOE025", "the waiver of FLOE024 waives nothing")


def test_a_waiver_is_valid_on_its_last_day() -> None:
    items = list(objects([Document(1, 1, waiving("FLOE010", f"until 2030-06-30: {REASON}"))], "test"))
    last, after = datetime.date(2030, 6, 30), datetime.date(2030, 7, 1)
    for day, codes in ((last, [("FLOE010", True)]), (after, [("FLOE010", False), ("FLOE025", False)])):
        outcome = policies.check(Stream(items), SCHEMAS, day)
        assert [(finding.code, bool(finding.waived)) for finding in outcome.findings] == codes
