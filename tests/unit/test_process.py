"""floe.process: time limits, errors and output of programs. No other module starts programs."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from floe import process
from floe.errors import FloeError

ROOT = Path(__file__).parents[2]
FOLDERS = ("runtime", "validators", "synthetic", "apps", "tests/toolbox")
HERE = "validators/floe/process.py"
IN_THE_IMAGE = "runtime/floe_runtime/healthy.py"  # starts the liveness check of the daemon and needs only its exit code
KEPT_RUNNING = "validators/floe/demo/processes.py"  # these programs run until the demo ends; its Supervisor ends them
STARTING = {
    "run",
    "call",
    "check_call",
    "check_output",
    "getoutput",
    "getstatusoutput",
    "Popen",
}  # functions of subprocess
STARTING_TOO = {"system", "popen", "posix_spawn", "posix_spawnp"}  # functions of os
SOON = 1  # time limit of programs in these tests; on a busy machine they take a while to start

Script = Callable[..., Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Write a shell script; returns its path."""

    def write(body: str, name: str = "program") -> Path:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return write


def starting(file: Path) -> set[str]:
    """The functions of Python for starting programs that a module refers to."""
    used = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            named = {"subprocess": STARTING, "os": STARTING_TOO}.get(node.value.id, set())
            used.update({node.attr} & named)
        elif isinstance(node, ast.Import):
            used.update(f"as {alias.asname}" for alias in node.names if alias.name == "subprocess" and alias.asname)
        elif isinstance(node, ast.ImportFrom):
            named = {"subprocess": STARTING, "os": STARTING_TOO}.get(node.module or "", set())
            used.update({alias.name for alias in node.names} & named)
    return used


def test_no_other_module_starts_programs() -> None:
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    starters = {str(file.relative_to(ROOT)): names for file in files if (names := starting(file))}
    assert starters == {HERE: {"Popen"}, KEPT_RUNNING: {"Popen"}, IN_THE_IMAGE: {"run"}}


def test_output_and_environment_of_a_program(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOE_TAKEN_OUT", "1")
    program = script("printf 'a\\377b\\n'; pwd; echo \"$FLOE_ADDED$FLOE_TAKEN_OUT\"; cat; echo aside >&2")
    done = process.run([program], seconds=10, folder=tmp_path, env={"FLOE_ADDED": "x", "FLOE_TAKEN_OUT": None})
    assert done.stdout.splitlines() == ["a�b", str(tmp_path), "x"]
    assert done.stderr == "aside\n"


def test_output_that_is_larger_than_a_pipe(script: Script) -> None:
    program = script("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2")
    with process.started([program], seconds=10) as first, process.started([program], seconds=10) as second:
        assert len(second().stdout) == len(first().stderr) == 300000


@pytest.mark.parametrize("own_session", [False, True])
def test_a_program_that_hangs(script: Script, own_session: bool) -> None:
    program = script("echo 'waits for the lock' >&2; exec sleep 60", "git")
    begun = time.monotonic()
    with pytest.raises(FloeError) as error:
        process.run([program, "status"], seconds=SOON, own_session=own_session)
    assert time.monotonic() - begun < 20
    assert error.value.message == "git status did not end within 1 s: waits for the lock"
    assert error.value.hint == "Run git status by hand to see what it waits for."


def test_a_program_that_ignores_sigterm_is_killed(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_GRACE_SECONDS", SOON)
    with pytest.raises(FloeError, match="did not end"):
        process.run([script("trap '' TERM; while :; do sleep 0.05; done")], seconds=SOON)


def test_children_of_a_program_in_its_own_session_end_with_it(script: Script, tmp_path: Path) -> None:
    program = script(f"sleep 60 & echo $! > '{tmp_path}/child'; wait")
    with pytest.raises(FloeError, match="did not end"):
        process.run([program], seconds=SOON, own_session=True)
    assert gone(int((tmp_path / "child").read_text()))


def test_a_program_ends_with_the_block(script: Script) -> None:
    with process.started([script("echo $$; exec sleep 60")], seconds=60) as ended:
        pass
    with pytest.raises(ValueError, match="closed file"):
        ended()
    reading = process.lines([script("echo $$; exec sleep 60")], seconds=60)
    child = int(next(reading))
    reading.close()
    assert gone(child)


@pytest.mark.parametrize("own_session", [False, True])
def test_ctrl_c_ends_the_program(script: Script, tmp_path: Path, own_session: bool) -> None:
    program = script(f"echo $$ > '{tmp_path}/child'; echo >&2; exec sleep 60")
    code = f"from floe import process; process.run([{str(program)!r}], seconds=60, own_session={own_session})"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as caller:
        while not (tmp_path / "child").is_file() or not (tmp_path / "child").read_text():
            time.sleep(0.01)
        caller.send_signal(signal.SIGINT)
    assert caller.returncode == -signal.SIGINT
    assert gone(int((tmp_path / "child").read_text()))


def test_ctrl_c_while_a_program_starts_ends_it(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Popen has started the program, but has not returned yet."""
    program = script(f"echo $$ > '{tmp_path}/child'; exec sleep 60")
    start = subprocess.Popen

    def interrupted(*arguments: Any, **options: Any) -> Any:
        started = start(*arguments, **options)
        while not (tmp_path / "child").is_file() or not (tmp_path / "child").read_text():
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)
        return started

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(KeyboardInterrupt), process.started([program], seconds=60):
        pytest.fail("the block runs although Ctrl-C was pressed")
    assert gone(int((tmp_path / "child").read_text()))


def gone(pid: int) -> bool:
    """Whether a process ends within 20 seconds. A zombie counts as ended."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False


def test_a_program_that_is_missing(tmp_path: Path, script: Script) -> None:
    with pytest.raises(FloeError) as error:
        process.run(["no-such-program"], seconds=1, what="nothing can be done")
    assert error.value.message == "nothing can be done: no-such-program is not on PATH"
    assert error.value.hint == "Install no-such-program."
    with pytest.raises(FloeError, match=r"kubectl get cannot be started: .*/kubectl: No such file or directory"):
        process.run([tmp_path / "kubectl", "get"], seconds=1)
    with pytest.raises(FloeError, match=r"cannot be started: .*/nowhere: No such file or directory"):
        process.run([script("exit")], folder=tmp_path / "nowhere", seconds=1)
    closed = script("exit")
    closed.chmod(0o644)
    with pytest.raises(FloeError, match=r"cannot be started: .*/program: Permission denied"):
        next(process.lines([closed], seconds=1))
    with pytest.raises(FloeError, match="cannot be started: an argument or environment variable contains a NUL"):
        process.run([script("exit"), "a\0b"], seconds=1)
    garbage = script("exit")
    garbage.write_bytes(b"\x00\x01garbage")
    garbage.chmod(0o755)
    with pytest.raises(FloeError, match=r"cannot be started: .*/program: Exec format error"):
        process.run([garbage], seconds=1)


def test_a_program_that_fails(script: Script) -> None:
    program = script("echo first >&2; echo; printf 'the \\033[31mcause\\n\\n' >&2; exit 3", "helm")
    with pytest.raises(FloeError) as error:
        process.run([program, "pull", "--password=hunter2"], seconds=10, what="no chart", hint="do that")
    assert error.value.message == "no chart: helm pull failed (exit code 3): the  [31mcause"
    assert error.value.hint == "do that"
    done = process.run([program, "pull"], seconds=10, check=False)
    assert (done.returncode, process.complaint(done, 2)) == (3, "first\nthe  [31mcause")
    with pytest.raises(FloeError, match=r"^program failed \(ended by signal 9\): it gave no reason$"):
        process.run([script("kill -9 $$")], seconds=10)
    with pytest.raises(FloeError) as error:
        process.run(
            [script("head -c 9000 /dev/zero | tr '\\0' x >&2; echo end >&2; printf %9000s y >&2; exit 1")], seconds=10
        )
    assert len(error.value.message) < 2100


def test_the_cause_is_shown_instead_of_advice_below_it(script: Script) -> None:
    helm = script(
        "printf 'Error: no such value\\n\\nUse --debug flag to render out invalid YAML\\n' >&2; exit 1", "helm"
    )
    with pytest.raises(FloeError, match=r"^helm template failed \(exit code 1\): Error: no such value$"):
        process.run([helm, "template"], seconds=10)


def test_lines_are_yielded_as_soon_as_they_are_printed(script: Script, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    program = script(f"echo one; while ! [ -e '{go_on}' ]; do sleep 0.01; done; echo aside >&2; printf two")
    reading = process.lines([program], seconds=10)
    assert next(reading) == b"one\n"
    go_on.touch()
    assert list(reading) == [b"two"]
    assert list(process.lines([program], seconds=10, both=True)) == [b"one\n", b"aside\n", b"two"]


def test_lines_of_a_program_that_fails_or_hangs(script: Script) -> None:
    with pytest.raises(FloeError, match=r"^go failed \(exit code 1\): the cause$"):
        list(process.lines([script("echo the cause >&2; exit 1", "go")], seconds=10))
    with pytest.raises(FloeError, match=r"^go failed \(exit code 1\): the cause$"):
        list(process.lines([script("echo more; echo the cause >&2; exit 1", "go")], seconds=10, both=True))
    for body in ("echo one; exec sleep 60", "echo one; exec >&- 2>&-; exec sleep 60"):
        with pytest.raises(FloeError, match=r"^go did not end within 1 s"):
            list(process.lines([script(body, "go")], seconds=SOON))


_MARK = "OPENSSH PRIVATE " + "KEY-----"  # concatenated so that scanners for keys do not report this file
KEY = f"-----BEGIN {_MARK}\nb3BlbnNzaC1rZXk\nAAAA\n"
SECRET = "correct-horse-battery-staple"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (f"denied for {SECRET}", "denied for ***"),
        (f"cannot reach https://somebody:{SECRET}x@a.example/b", "cannot reach https://***@a.example/b"),
        ("cannot reach https://ghp_token@a.example/b", "cannot reach https://***@a.example/b"),
        ("login failed: password=hunter22", "login failed: password=***"),
        ("login failed: --password='hunter 22', user=x", "login failed: --password='***', user=x"),
        ('the value of password="" is empty', None),
        ("sent Authorization: Bearer 0123abcd", "sent Authorization: Bearer ***"),
        ("AGE-SECRET-" + "KEY-1QQQQ is no key", "*** is no key"),
        (f"{KEY}-----END {_MARK} is no key", "*** is no key"),
        (KEY, "***"),
        ("error: unexpected token: '}' at /srv/x, host a.example:443", None),
        ("fatal: ambiguous argument 'a:b': unknown revision", None),
    ],
)
def test_no_credential_is_shown(
    script: Script, monkeypatch: pytest.MonkeyPatch, message: str, shown: str | None
) -> None:
    monkeypatch.setenv("FLOE_MESSAGE", message)
    monkeypatch.setenv("FLOE_CUBE_PASSWORD", SECRET)
    with pytest.raises(FloeError) as error:
        process.run([script('printf %s "$FLOE_MESSAGE" >&2; exit 1')], seconds=10)
    assert error.value.message == f"program failed (exit code 1): {shown or message}"
