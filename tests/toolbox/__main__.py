"""`floe tools`, with those of tests: `PYTHONPATH=tests python -m toolbox --get kubelet` fetches one."""

from floe import console
from floe.cli.tools import app

console.run(app)
