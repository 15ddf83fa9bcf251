"""floe: render, validate, compile, preflight, promote and demonstrate a floe-runtime deployment."""
