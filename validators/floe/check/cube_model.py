"""Compiles the Cube model of several apps with Cube itself, without data."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from floe.demo import cube
from floe.demo.ports import HOST, claim
from floe.demo.processes import Supervisor, answers
from floe.repo import Checkout
from floe_runtime.contract.app import App

_UP_SECONDS = 120  # a cold start on a busy machine


def compile_model(checkout: Checkout, apps: Mapping[str, App]) -> str:
    """Start Cube with the models of these apps; returns why they do not compile together, or an empty text.

    Raises FloeError if Cube cannot be installed or does not start.
    """
    return _compile(checkout, tuple((name, app.semantic_layer.model) for name, app in sorted(apps.items())))


@cache
def _compile(checkout: Checkout, models: tuple[tuple[str, str], ...]) -> str:
    install, secret, port = cube.install(checkout), secrets.token_hex(32), claim(0, "Cube", "")
    with tempfile.TemporaryDirectory(prefix="floe-check-") as temporary:
        folder = Path(temporary)
        model = cube.gather_models({name: checkout.app(name) / part for name, part in models}, folder / "model")
        running = Supervisor(folder / "logs")
        try:
            env = cube.environment(model, cube.parquet_marts(folder), port, secret)
            running.start("cube", cube.command(checkout, install), env, checkout.root)
            running.wait(lambda: answers(f"http://{HOST}:{port}/livez"), "Cube", _UP_SECONDS)
            cube.meta(f"http://{HOST}:{port}", cube.token(secret))
        except cube.CubeError as error:
            return str(error)
        finally:
            running.stop()
    return ""
