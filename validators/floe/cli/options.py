"""Arguments and options that several commands have, and what several say."""

from __future__ import annotations

from typing import Annotated

import typer

Environment = Annotated[str, typer.Argument(metavar="ENV", help="name of an overlay")]
OptionalEnvironment = Annotated[
    str | None, typer.Argument(metavar="[ENV]", help="an overlay; the embedded default without")
]
AsJson = Annotated[bool, typer.Option("--json", help="machine format")]

SYNC = "  [dim]next:[/] floe charts sync"
"""What floe's own charts hold of an overlay is written anew."""
