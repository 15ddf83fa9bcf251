"""An empty catalog for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from iceberg_tables import open_catalog


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "with some spaces"


@pytest.fixture
def catalog(folder: Path) -> SqlCatalog:
    return open_catalog(folder)
