"""The command floe-validate: arguments, input, output formats and exit codes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from floe import console, repo
from floe.validate.cli import app
from floe.validate.policies import POLICIES, Stage

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from floe.validate.cli import main; main()"]
OVERLAYS = f"overlays that exist: {', '.join(repo.current().environments())}"
PLANTED = "correct-horse-battery-staple"
GOOD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: p-1, namespace: shop}
spec:
  containers:
  - name: main
    image: app
    env: [{name: DB_PASSWORD, value: %s}]
    resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: 1Gi}}
    securityContext:
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
      runAsNonRoot: true
      seccompProfile: {type: RuntimeDefault}
"""
BAD = POD % PLANTED
OF_A_REPOSITORY = [policy.code for policy in POLICIES if policy.stage is Stage.REPOSITORY]
LEFT_OUT = f"left out: {', '.join(OF_A_REPOSITORY)}: the stream names no environment: "
OK = f"{LEFT_OUT}set the annotation floe-runtime.io/environment on its objects, or give --env\nstdin: 1 object, ok"
WARNED = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\n"

Done = subprocess.CompletedProcess[bytes]


def run(content: str | bytes, *arguments: str, cwd: Path = ROOT) -> Done:
    """Run floe-validate on a stream in this process. An unexpected exception fails the test."""
    data = content.encode() if isinstance(content, str) else content
    streams = {name: io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for name in ("stdout", "stderr")}
    streams["stdin"] = io.TextIOWrapper(io.BytesIO(data), "utf-8")
    patched: dict[str, Any] = {"argv": ["floe-validate", *arguments], **streams}
    with contextlib.chdir(cwd), mock.patch.multiple(sys, **patched):
        try:
            console.run(app)
            code = 0
        except SystemExit as done:
            code = done.code if isinstance(done.code, int) else 0
    stdout, stderr = (streams[name].buffer.getvalue() for name in ("stdout", "stderr"))
    return subprocess.CompletedProcess(arguments, code, stdout, stderr)


def in_a_process(content: str, *arguments: str, **env: str) -> Done:
    """Run floe-validate on a stream in a separate process."""
    command = [*COMMAND, *arguments]
    done = subprocess.run(command, input=content.encode(), capture_output=True, env=os.environ | env, check=False)
    assert b"Traceback" not in done.stderr + done.stdout, done.stderr.decode()
    return done


def message(done: Done) -> str:
    """The error message of a failed run, which must have printed nothing to stdout."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert not done.stdout
    text = done.stderr.decode()
    assert text.startswith("error: ")
    assert "  next: " in text
    return text


def test_exit_codes() -> None:
    for content, code in ((GOOD, 0), (WARNED, 0), (BAD, 1), (f"{GOOD}---\n{BAD}", 1), ("a: [", 2)):
        assert run(content).returncode == code
        assert in_a_process(content).returncode == code


def test_the_text_format() -> None:
    text = run(f"{GOOD}---\n{BAD}---\n{WARNED}").stdout.decode()
    assert (
        "FLOE010 error Pod shop/p-1 (stdin, document 2, line 5)\n  container main: the image app has no tag\n  next: "
        in text
    )
    assert text.endswith("stdin: 3 objects, 2 errors, 1 warning\n")
    assert run(GOOD).stdout.decode() == f"{OK}\n"
    assert run(WARNED).stdout.decode().endswith(f"{OK}, 1 warning\n")


def test_the_error_for_an_empty_file_does_not_mention_kustomize(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").touch()
    text = message(run("", str(tmp_path / "empty.yaml")))
    assert "contains no objects to validate" in text
    assert "kustomize" not in text


@pytest.mark.parametrize(
    "content", ["", "\n\n", "---", "---\n---\n", "# nothing\n", "null\n", "\ufeff", "kind: List\nitems: []\n"]
)
def test_nothing_to_validate(content: str) -> None:
    text = message(run(content))
    assert "contains no objects to validate" in text
    assert "--enable-helm" in text


def test_stdin_that_is_closed_or_a_terminal() -> None:
    command = ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND]  # only a shell can close stdin
    closed = subprocess.run(command, capture_output=True, check=False)
    assert "no manifests on standard input" in message(closed)
    terminal, other_end = pty.openpty()
    try:
        done = subprocess.run(COMMAND, stdin=other_end, capture_output=True, timeout=60, check=False)
    finally:
        os.close(terminal)
        os.close(other_end)
    assert "no manifests on standard input" in message(done)


def test_input_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    with file.open("wb") as made:
        made.truncate(200 << 20)
    with file.open("rb") as stdin:
        limits = ["sh", "-c", 'ulimit -v 2000000; exec "$@"', "sh"]
        done = subprocess.run([*limits, *COMMAND], stdin=stdin, capture_output=True, timeout=60, check=False)
    assert "stdin is larger than 100 MiB" in message(done)
    assert f"{file} is larger than 100 MiB" in message(run("", str(file)))


def test_definitions_of_custom_kinds(tmp_path: Path) -> None:
    (tmp_path / "crds").mkdir()
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    file = tmp_path / "crds" / "thing.json"
    file.write_text(json.dumps(definition))
    assert run(WARNED, "--crds", str(file.parent)).stdout.decode().endswith("stdin: 1 object, ok\n")
    done = run(f"{WARNED}spec: 1\n", "--crds", str(file.parent))
    assert (done.returncode, b"unknown field spec" in done.stdout) == (1, True)
    assert "contains no CustomResourceDefinition" in message(run(WARNED, "--crds", str(ROOT / "docs")))
    assert "is not a folder" in message(run(WARNED, "--crds", str(file)))
    file.write_text(json.dumps({**definition, "spec": {"group": "example.com"}}))
    assert "is not valid in apiextensions.k8s.io/v1" in message(run(WARNED, "--crds", str(file.parent)))


def test_kinds_without_a_schema_are_reported_and_errors_with_strict_kinds() -> None:
    for arguments, code in (((), 0), (("--strict-kinds",), 1)):
        done = run(WARNED, *arguments)
        assert done.returncode == code
        assert b"there is no schema of example.com/v1 Thing" in done.stdout


@pytest.mark.parametrize(
    ("content", "document", "line"),
    [
        (f"{GOOD}---\na: [1\nb: 2", 2, 6),
        (f"{GOOD}---\na:\n\tb: 1", 2, 6),
        (f"{GOOD}---\na: 1\na: 2", 2, 6),
        ("Error: chart not found: run helm repo add", 1, 1),
        ("{{ .Values.x }}: 1", 1, 1),
        (f"{GOOD}---\na: '{PLANTED}", 2, 5),
        (f"{GOOD}---\na: *{PLANTED}", 2, 5),
        (f"{GOOD}---\na: !!int {PLANTED}", 2, 5),
        (f"{GOOD}---\na: !h!{PLANTED} x", 2, 5),
        (f"{GOOD}---\na: {PLANTED}\n b: 1", 2, 6),
        (f"{GOOD}---\na: \"{PLANTED}\\q\"", 2, 5),
        (b"a: 1\nb: \xff\xfe", 1, 2),
        (b"a: 1\nb: \x00", 1, 2),
        (b"\x7fELF\x02\x01\x01\x00\x00", 1, 1),
        (bytes(range(256)), 1, 2),
        (b"\x1f\x8b\x08\x00\x00\x00", 1, 1),
        (GOOD.encode("utf-16"), 1, 1),
        ("[" * 10_000, 1, 1),
        ("a: &a [*a]", 1, 1),
    ],
)  # fmt: skip
def test_invalid_yaml_is_reported_with_its_position(content: str | bytes, document: int, line: int) -> None:
    text = message(run(content))
    assert text.startswith(f"error: stdin: document {document}, line {line}: ")
    assert PLANTED not in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("just text\n", "a list or a single value and not an object"),
        ("- a\n- b\n", "a list or a single value and not an object"),
        ("12\n", "a list or a single value and not an object"),
        (f"[{GOOD!r}]\n", "a list or a single value and not an object"),
        ("a: 1\n", "apiVersion and kind must both be set"),
        ("kind: Pod\n", "apiVersion and kind must both be set"),
        ("apiVersion: v1\nkind: [Pod]\nmetadata: []\n", "apiVersion and kind must both be set"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: x\n", "metadata must be a mapping"),
        ("apiVersion: v1\nkind: List\nitems: [1]\n", "not an object"),
        ("apiVersion: v1\nkind: List\nitems: 1\n", "has no v1 List"),
    ],
)
def test_documents_that_are_not_objects_are_findings(content: str, words: str) -> None:
    done = run(content)
    assert done.returncode == 1
    assert words in done.stdout.decode()


def test_other_notations_of_the_same_content() -> None:
    as_json = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, indent="\t")
    for content in (
        GOOD.replace("\n", "\r\n"),
        as_json,
        f"\ufeff{GOOD}",
        f"--- # one\n{GOOD}...\n---\n",
        f"---\n---\n{GOOD}",
    ):
        assert run(content).stdout.decode() == f"{OK}\n"


def test_the_json_format() -> None:
    done = run(f"{GOOD}---\n{BAD}", "--format", "json")
    assert done.returncode == 1
    assert not done.stderr
    (report,) = json.loads(done.stdout)["reports"]
    assert (report["source"], report["environment"], report["objects"]) == ("stdin", None, 2)
    assert [finding["code"] for finding in report["findings"]] == ["FLOE010", "FLOE011"]
    keys = {
        "code",
        "severity",
        "source",
        "document",
        "line",
        "object",
        "message",
        "remedy",
        "file",
        "file_line",
        "waived",
    }
    for finding in report["findings"]:
        assert finding.keys() == keys
        assert all(value for key, value in finding.items() if key not in ("file", "file_line", "waived"))
        assert (finding["source"], finding["document"], finding["line"]) == ("stdin", 2, 5)
    assert [omission["code"] for omission in report["left_out"]] == OF_A_REPOSITORY
    assert json.loads(run(GOOD, "-f", "json").stdout)["reports"][0]["findings"] == []


def test_warnings_fail_a_strict_run() -> None:
    assert [run(WARNED, *options).returncode for options in ((), ("--strict",))] == [0, 1]
    assert [run(content, "--strict").returncode for content in (GOOD, BAD)] == [0, 1]


def test_github_has_a_line_for_each_finding() -> None:
    name = '"p\\n::error::x%"'
    done = run(
        BAD.replace("p-1", '"p,1:2"') + f"---\n{WARNED}---\n"
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: []\n",
        "--format",
        "github",
    )
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 7
    assert lines.pop().startswith(f"::notice title=left out%3A {'%2C '.join(OF_A_REPOSITORY)}::the stream")
    assert lines[1].startswith(
        "::error title=FLOE010 Pod shop/p%2C1%3A2::container main: the image app has no tag (stdin, document 1, line 1)"
    )
    assert [line.split(" ")[0] for line in lines] == [*["::error"] * 3, "::warning", *["::error"] * 2]
    assert all(re.fullmatch(r"::(error|warning) title=[^:,\n]+::.+", line) for line in lines)
    assert "%25" in lines[4]


@pytest.mark.parametrize("output", ["text", "json", "github"])
def test_no_format_shows_a_secret(output: str) -> None:
    head = "apiVersion: v1\nkind: {}\nmetadata: {{name: x}}\n"
    secret = head.format("Secret") + f"stringData: {{password: {PLANTED}}}\ndata: {{a: [{PLANTED}]}}\n"
    wrong = head.format("ConfigMap") + f"data: {{password: {PLANTED}, nested: {{token: {PLANTED}}}}}\n"
    container = f"{{name: [{PLANTED}], image: 'https://u:{PLANTED}@h'}}"
    image = head.format("Pod") + f"spec: {{containers: [{container}]}}\n"
    done = run("---\n".join([BAD, secret, wrong, image]), "--format", output)
    assert done.returncode == 1
    assert done.stdout.count(b"FLOE011") >= 4
    assert PLANTED.encode() not in done.stdout + done.stderr


def test_colours_only_on_a_terminal() -> None:
    assert b"\x1b" not in in_a_process(BAD).stdout
    assert b"\x1b" not in in_a_process("a: [").stderr
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND], stdin=subprocess.PIPE, stdout=other_end, stderr=other_end, env=os.environ | {"TERM": "xterm"}
    )
    os.close(other_end)
    assert process.stdin
    process.stdin.write(BAD.encode())
    process.stdin.close()
    shown = b""
    try:
        while part := os.read(terminal, 65536):
            shown += part
    except OSError:
        pass  # a terminal raises this after its other end is closed
    os.close(terminal)
    assert process.wait(60) == 1
    assert b"\x1b[31m" in shown


def test_control_characters_do_not_reach_the_terminal() -> None:
    shown = run('apiVersion: v1\nkind: "Th\\e[31ming"\nmetadata: {name: "a\\a[red]b[/red]"}\n').stdout
    assert b"\x1b" not in shown
    assert b"\x07" not in shown
    assert b"[red]b[/red]" in shown


def test_files_and_stdin_by_name(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.json"
    good.write_text(GOOD)
    bad.write_text(json.dumps({"apiVersion": "v1"}))
    assert run("", str(good), cwd=tmp_path).stdout.decode() == OK.replace("stdin", str(good)) + "\n"
    annotation = run("", "bad.json", "--format", "github", cwd=tmp_path).stdout.decode().splitlines()[0]
    assert annotation.startswith("::error file=bad.json,line=1,title=FLOE002 object (no name)::")
    done = run(GOOD, "-", str(bad), "good.yaml", "--format", "json", cwd=tmp_path)
    assert done.returncode == 1
    assert [report["source"] for report in json.loads(done.stdout)["reports"]] == ["stdin", str(bad), "good.yaml"]
    assert "cannot read none.yaml: No such file" in message(run("", "none.yaml"))
    (tmp_path / "folder.yaml").mkdir()
    assert "cannot read" in message(run("", str(tmp_path / "folder.yaml")))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], ["no overlay 'nowhere'", OVERLAYS]),
        (["overlays/nowhere/"], ["no overlay 'nowhere'", OVERLAYS]),
        (["--env", "nowhere"], ["no overlay 'nowhere'", OVERLAYS]),
        (["--format", "xml"], ["unknown format 'xml'", "use one of: text, json, sarif, github"]),
        (["--kubernetes", "1.2"], ["no schemas of Kubernetes 1.2", "1.34"]),
        (["--kubernetes", "../x"], ["no schemas of Kubernetes ../x"]),
        (["--explain", "FLOE999"], ["unknown code 'FLOE999'", "use one of: FLOE002, FLOE003"]),
    ],
)
def test_unknown_names_are_reported_with_those_that_exist(arguments: list[str], words: list[str]) -> None:
    text = message(run(GOOD, *arguments))
    assert all(word in text for word in words), text


def test_expected_secrets_depend_on_the_environment() -> None:
    pulls = (
        (POD % "$(X)")
        .replace("image: app", "image: app:1.0")
        .replace("spec:", "spec:\n  imagePullSecrets: [{name: floe-trino}]")
    )
    assert run(pulls, "--env", "prod").returncode == 0
    refused = run(pulls, "--env", "dev")
    assert refused.returncode == 1
    assert b"refers to the Secret floe-trino" in refused.stdout


def test_explain() -> None:
    text = run("", "--explain", "floe010").stdout.decode()
    assert text.startswith("FLOE010 An image has neither")
    assert "What to do: " in text
    assert "\n\nThis fails:\n\n```yaml\napiVersion: v1\nkind: Pod\n" in text
    assert "\n\nThis passes:\n\n```yaml\napiVersion: v1\nkind: Pod\n" in text


def test_output_that_nobody_reads_to_its_end() -> None:
    many = "---\n".join(BAD.replace("p-1", f"p{number}") for number in range(3000))
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdin.write(many.encode())
    process.stdin.close()
    assert process.stdout.read(10) == b"FLOE010 er"
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    assert process.wait(60) in (0, 1)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_the_terminal_cannot_show(encoding: str) -> None:
    done = in_a_process(BAD.replace("p-1", "pø→"), PYTHONIOENCODING=encoding)
    assert done.returncode == 1
