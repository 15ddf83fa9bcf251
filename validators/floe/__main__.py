"""`floe`, and `python -m floe`."""

from __future__ import annotations

import sys

from floe import console


def main() -> None:
    """Entry point."""
    match sys.argv[1:]:
        case ["render", environment] if not environment.startswith("-"):
            # What pipes into kubectl and floe-validate, all day long. Reading a command line with typer takes half as
            # long as rendering an overlay, and here there is nothing to read.
            from floe.render import print_manifests

            console.run(lambda: print_manifests(environment))
        case _:
            from floe.cli import app

            console.run(app)


if __name__ == "__main__":
    main()
