"""Platforms like that of the embedded default, for tests that need no checkout."""

from __future__ import annotations

from typing import Any

from floe_runtime.contract.platform import Platform


def platform(**parts: dict[str, Any]) -> Platform:
    """A platform on files that do not exist, with some parts replaced."""
    return Platform.model_validate(
        {
            "version": 1,
            "specification": "follow",
            "compute": {"target": "duckdb"},
            "storage": {"kind": "file", "path": "/nonexistent"},
            "catalog": {"kind": "sql", "path": "/nonexistent/catalog.db"},
            "metadata": {"kind": "sqlite", "path": "unused"},
            "marts": {"kind": "parquet", "path": "unused"},
            **parts,
        }
    )
