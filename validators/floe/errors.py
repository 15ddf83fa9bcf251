"""The one exception a person may see: that of what runs in production, which every command raises too."""

from floe_runtime.errors import FloeError

__all__ = ["FloeError"]
