"""floe: render, validate, compile, preflight and show a floe-runtime deployment."""
