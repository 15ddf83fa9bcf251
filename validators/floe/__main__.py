"""The entry point of `floe` and of `python -m floe`."""

from __future__ import annotations

import sys

from floe import console


def main() -> None:
    """Run the command line, with a shortcut past typer for the frequent `floe render ENV`."""
    match sys.argv[1:]:
        case ["render", environment] if not environment.startswith("-"):
            # This form runs most often: its output is piped into kubectl and floe-validate. Typer's start takes half as
            # long as rendering an overlay, and this command line has no options to parse.
            from floe import repo
            from floe.render import print_manifests

            console.run(lambda: print_manifests(repo.current(), environment))
        case _:
            from floe.cli import app

            console.run(app)


if __name__ == "__main__":
    main()
