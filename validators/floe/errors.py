"""FloeError, the base class of all errors that are reported to the user. What runs in production raises it too."""

from floe_runtime.errors import FloeError

__all__ = ["FloeError"]
