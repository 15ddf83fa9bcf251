"""`floe tools` with the tools of tests: `PYTHONPATH=tests python -m toolbox --get kubelet` installs one."""

from floe import console
from floe.cli.tools import app

console.run(app)
