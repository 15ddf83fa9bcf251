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

from floe import console, repo
from floe.errors import FloeError
from floe.kubernetes.releases import RELEASE
from floe.validate import output
from floe.validate.policies import POLICIES
from floe.validate.schema import Schemas
from floe.validate.validation import FILES, validate

FORMATS = tuple(output.WRITERS)
_MOST_BYTES = 100 << 20
"""The largest stream that is read: ten times the size of ten thousand documents."""

_EXAMPLES = """\
exit codes: 0 ok (warnings included, except with --strict), 1 findings, 2 cannot run

examples:
  kustomize build --enable-helm overlays/prod | floe-validate
  floe-validate dev prod
  floe-validate --format json prod > report.json
  floe-validate --format sarif prod > floe.sarif
  floe-validate --strict prod
  floe-validate --kubernetes 1.35 --crds our-crds/ --strict-kinds prod
  floe-validate --explain FLOE010
"""


class _Parser(argparse.ArgumentParser):
    """A parser that reports a wrong argument as a FloeError.

    It is argparse's and not typer's, because importing typer alone takes as long as a whole validation.
    """

    def error(self, message: str) -> NoReturn:
        raise FloeError(message, "floe-validate --help")


def _make_parser() -> _Parser:
    parser = _Parser(
        prog="floe-validate",
        description="Check rendered manifests: whether the API server accepts them, whether their references exist,\n"
        "whether they contain credentials in plain text, and whether they follow the policies of this project.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("sources", nargs="*", help="overlays to render, or YAML files; - or no source reads standard input")
    add("--env", help="environment of the stream (default: the annotation of its objects)")
    add("--format", "-f", default="text", metavar="FORMAT", help=f"one of {', '.join(FORMATS)}")
    add("--kubernetes", default=RELEASE, metavar="RELEASE", help=f"Kubernetes release to check (default: {RELEASE})")
    add("--crds", type=Path, metavar="DIR", help="folder of CustomResourceDefinitions whose kinds are checked as well")
    add("--strict", action="store_true", help="exit with 1 for warnings as well")
    add("--strict-kinds", action="store_true", help="report a kind without a schema as an error")
    add("--explain", metavar="CODE", help="explain what a code means and what to do, with examples")
    return parser


def app() -> None:
    """Run the command with the arguments of the process; exit with 1 for an error, and with --strict for a warning.

    Raises FloeError for wrong arguments and for sources that cannot be read, rendered or parsed.
    """
    options = _make_parser().parse_args()
    if options.explain:
        return _explain(options.explain)
    if options.format not in FORMATS:
        raise FloeError(f"unknown format {options.format!r}", f"use one of: {', '.join(FORMATS)}")
    schemas = Schemas(options.kubernetes, options.crds, strict_kinds=options.strict_kinds)
    try:
        checkout = repo.current()
    except FloeError:
        checkout = None  # the stream of another repository is checked without one
    reports = [
        validate(content, name, schemas, options.env or overlay, checkout=checkout)
        for name, overlay, content in _read_sources(options.sources)
    ]
    output.WRITERS[options.format](reports)
    failing = ("error", "warning") if options.strict else ("error",)
    if any(report.count(severity) for report in reports for severity in failing):
        sys.exit(1)
    return None


def _read_sources(sources: list[str]) -> Iterator[tuple[str, str | None, bytes]]:
    """Yield the name and the content of each source, and its environment if it is an overlay.

    Without any source, these are those of standard input.
    """
    for source in sources or ["-"]:
        path = Path(source)
        if source == "-":
            yield "stdin", None, _read_stdin()
        elif path.suffix in FILES:
            try:
                with path.open("rb") as file:
                    yield source, None, _read_bounded(file, source)
            except OSError as error:
                raise FloeError(f"cannot read {source}: {error.strerror}", "check the path") from error
        else:
            from floe.validate import origins

            environment = source.removeprefix("overlays/").rstrip("/")
            yield f"overlays/{environment}", environment, origins.rendered(repo.current(), environment)


def _read_stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise FloeError(
            "no manifests on standard input",
            "name an overlay: floe-validate ENV, or pipe manifests: "
            "kustomize build --enable-helm overlays/ENV | floe-validate",
        )
    return _read_bounded(sys.stdin.buffer, "stdin")


def _read_bounded(file: BinaryIO, source: str) -> bytes:
    content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise FloeError(
            f"{source} is larger than {_MOST_BYTES >> 20} MiB",
            "check that the stream consists of manifests, or split it into several streams",
        )
    return content


def _explain(code: str) -> None:
    for policy in POLICIES:
        if policy.code == code.upper():
            heading, _, rest = output.explanation(policy).partition("\n")
            print(f"{console.paint()(heading, 'bold')}\n{rest}", end="")
            return
    raise FloeError(f"unknown code {code!r}", f"use one of: {', '.join(policy.code for policy in POLICIES)}")


def main() -> None:
    """Run the command and end the process with its exit code."""
    gc.disable()  # the objects of a validation live until the process ends, so collecting garbage only costs time
    try:
        console.run(app)
        code: object = 0
    except SystemExit as done:
        code = done.code
    for stream in (sys.stdout, sys.stderr):
        # The stream may be closed, by this process or by its reader, or it may not exist at all.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0)  # skips the destruction of all objects, which only costs time
