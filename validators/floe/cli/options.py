"""Arguments, options and messages that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Environment = Annotated[str, typer.Argument(metavar="ENV", help="name of an overlay")]
OptionalEnvironment = Annotated[
    str | None, typer.Argument(metavar="[ENV]", help="name of an overlay; without it, the embedded default")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]

SYNC = "  [dim]next:[/] Run `floe charts sync`."
"""The next step after a change to an overlay: floe's own charts in charts/ hold a copy of its values."""
