"""`floe demo`: it serves live data, runs the schedule, and leaves nothing behind after Ctrl-C."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dagster_api import Dagster
from floe import charts, repo
from floe.demo import cube

FLOE = Path(sys.executable).with_name("floe")
SECONDS = 300


class Demo:
    """A running `floe demo` and its output so far."""

    def __init__(self, folder: Path) -> None:
        """Start the demo on free ports. Its output goes to a file next to the checkout."""
        self.printed = folder.parent / "demo.txt"
        command = [str(FLOE), "demo", "--dagster-port", "0", "--cube-port", "0"]
        with self.printed.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)

    def text(self) -> str:
        return self.printed.read_text()

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + SECONDS
        while words not in self.text():
            assert self.process.poll() is None, f"the demo stopped:\n{self.text()}"
            assert time.monotonic() < deadline, f"no {words!r} after {SECONDS} s:\n{self.text()}"
            time.sleep(0.5)


@pytest.fixture
def demo(checkout: Path) -> Iterator[Demo]:
    list(charts.pull(repo.current(), ["dev", "prod"], stand_ins=True))
    running = Demo(checkout)
    yield running
    running.process.send_signal(signal.SIGINT)
    try:
        running.process.wait(60)
    except subprocess.TimeoutExpired:
        running.process.kill()


def of_checkout(folder: Path) -> list[str]:
    """The command lines of processes that belong to a checkout."""
    commands = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            ours = str(folder) in command or process.environ().get("FLOE_ROOT") == str(folder)
            if ours and process.pid != os.getpid():
                commands.append(command)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return commands


def test_the_demo_serves_live_data_and_ctrl_c_ends_it(demo: Demo, checkout: Path) -> None:
    demo.wait_for("logs      ")
    text = demo.text()
    assert re.search(r"✓ overlays/dev: \d+ objects, ok", text)
    assert re.search(r"✓ overlays/prod: \d+ objects, ok", text)
    assert "preflight embedded: 3 passed" in text
    before, after = (int(count) for count in re.findall(r"orders\.count\s+(\d+)", text))
    assert after > before > 0

    dagster_url, cube_url = (match[1] for match in re.finditer(r"is up: (http://127\.0\.0\.1:\d+)", text))
    token = re.search(r"Authorization: (\S+)'", text)
    assert token
    (answer,) = cube.load(cube_url, token[1], {"measures": ["orders.count"]})
    assert int(answer["orders.count"]) >= after
    with pytest.raises(cube.CubeError) as refused:
        cube.load(cube_url, "", {"measures": ["orders.count"]})
    assert refused.value.status == 403
    assert Dagster(dagster_url).schedules("ecommerce") == {"ticks": "RUNNING", "maintenance": "RUNNING"}
    running = of_checkout(checkout)
    for name in ("floe.demo.code_server", "dagster-webserver", "dagster-daemon", "start.js"):
        assert any(name in command for command in running), name

    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 0
    assert of_checkout(checkout) == []


def test_no_process_remains_after_the_demo_is_killed(tmp_path: Path) -> None:
    if not shutil.which("setpriv"):
        pytest.skip("no setpriv on this system")
    child = "from floe.demo.processes import Supervisor; from pathlib import Path; import os, time\n"
    child += (
        f"s = Supervisor(Path({str(tmp_path)!r})); s.start('sleeper', ['sleep', '600'], dict(os.environ), Path('/'))\n"
    )
    child += "print(s.processes[0].popen.pid, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        sleeper = int(parent.stdout.readline())
        time.sleep(1)
        assert psutil.pid_exists(sleeper)
        parent.kill()
    deadline = time.monotonic() + 10
    while psutil.pid_exists(sleeper) and psutil.Process(sleeper).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it runs on"
        time.sleep(0.1)


def test_a_busy_port_is_reported_with_its_process(checkout: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [str(FLOE), "demo", "--dagster-port", str(port), "--cube-port", "0"]
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert f"port {port} for Dagster" in done.stderr
    assert f"process {os.getpid()} " in done.stderr
    assert "--dagster-port" in done.stderr
