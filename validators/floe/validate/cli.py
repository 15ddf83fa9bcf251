"""The command `floe-validate`."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NoReturn

from floe import console
from floe.errors import FloeError
from floe.kubernetes.releases import RELEASE
from floe.validate import output
from floe.validate.policies import POLICIES
from floe.validate.run import FILES, validate
from floe.validate.schema import Schemas

FORMATS = tuple(output.WRITERS)
_MOST_BYTES = 100 << 20
"""Of one stream: ten times what ten thousand documents take."""

_EXAMPLES = """\
exit codes: 0 ok (warnings included), 1 findings, 2 cannot run

examples:
  kustomize build --enable-helm overlays/prod | floe-validate
  floe-validate dev prod
  floe-validate --format json prod > report.json
  floe-validate --format sarif prod > floe.sarif
  floe-validate --kubernetes 1.35 --crds our-crds/ --strict-kinds prod
  floe-validate --explain FLOE010
"""


class _Parser(argparse.ArgumentParser):
    """argparse and not typer, whose import alone takes as long as a whole validation."""

    def error(self, message: str) -> NoReturn:
        raise FloeError(message, "floe-validate --help")


def _parser() -> _Parser:
    parser = _Parser(
        prog="floe-validate",
        description="Check rendered manifests: what the API server would say of them, references, credentials and the "
        "rules of the house.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("sources", nargs="*", help="overlays to render, or YAML files; stdin without any, and as -")
    add("--env", help="environment of the stream; its annotation says it otherwise")
    add("--format", "-f", default="text", metavar="FORMAT", help=f"one of {', '.join(FORMATS)}")
    add("--kubernetes", default=RELEASE, metavar="RELEASE", help=f"Kubernetes release to check against ({RELEASE})")
    add("--crds", type=Path, metavar="DIR", help="folder of CustomResourceDefinitions whose kinds are checked too")
    add("--strict-kinds", action="store_true", help="a kind without a schema is an error")
    add("--explain", metavar="CODE", help="say what a code means and what to do, with examples")
    return parser


def app() -> None:
    """The command, with the arguments of the process."""
    options = _parser().parse_args()
    if options.explain:
        return _explain(options.explain)
    if options.format not in FORMATS:
        raise FloeError(f"there is no format {options.format!r}", f"formats: {', '.join(FORMATS)}")
    schemas = Schemas(options.kubernetes, options.crds, strict_kinds=options.strict_kinds)
    reports = [validate(content, name, schemas, options.env) for name, content in _read(options.sources)]
    output.WRITERS[options.format](reports)
    if any(report.count("error") for report in reports):
        sys.exit(1)
    return None


def _read(sources: list[str]) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each source."""
    for source in sources or ["-"]:
        path = Path(source)
        if source == "-":
            yield "stdin", _stdin()
        elif path.suffix in FILES:
            try:
                with path.open("rb") as file:
                    yield source, _bounded(file, source)
            except OSError as error:
                raise FloeError(f"cannot read {source}: {error.strerror}", "check the path") from error
        else:
            from floe.validate import origins

            environment = source.removeprefix("overlays/").rstrip("/")
            yield f"overlays/{environment}", origins.rendered(environment)


def _stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise FloeError(
            "no manifests on standard input", "floe-validate ENV, or pipe: kustomize build --enable-helm … |"
        )
    return _bounded(sys.stdin.buffer, "stdin")


def _bounded(file: BinaryIO, source: str) -> bytes:
    content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise FloeError(f"{source}: more than {_MOST_BYTES >> 20} MiB", "split the stream: that is no set of manifests")
    return content


def _explain(code: str) -> None:
    for policy in POLICIES:
        if policy.code == code.upper():
            heading, _, rest = output.explanation(policy).partition("\n")
            print(f"{console.paint()(heading, 'bold')}\n{rest}", end="")
            return
    raise FloeError(f"there is no code {code!r}", f"codes: {', '.join(policy.code for policy in POLICIES)}")


def main() -> None:
    """Entry point."""
    gc.disable()  # what a validation builds lives until the end of the process
    try:
        console.run(app)
        code: object = 0
    except SystemExit as done:
        code = done.code
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed by us or by its reader, or never there
            stream.flush()
    os._exit(code if isinstance(code, int) else 0)  # and nobody need take it apart
