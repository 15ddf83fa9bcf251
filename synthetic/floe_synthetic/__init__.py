"""Generates synthetic data in batches of Arrow tables, and loads each batch into Iceberg exactly once.

`EcommerceGenerator` and `SaaSGenerator` generate batches (`Batch`); `WithDefects` puts defects into what they generate.
`IcebergLoader` appends batches to tables and reports the result for each table (`Appended`). A name is imported on its
first use (PEP 562), so that the import of this package is fast: generators import NumPy, PyArrow and Faker, the loader
PyIceberg.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from floe_synthetic.batch import Batch
    from floe_synthetic.defects import WithDefects
    from floe_synthetic.ecommerce import EcommerceGenerator
    from floe_synthetic.loader import Appended, IcebergLoader
    from floe_synthetic.saas import SaaSGenerator

__all__ = ["Appended", "Batch", "EcommerceGenerator", "IcebergLoader", "SaaSGenerator", "WithDefects"]

_HOMES = {
    "Appended": "loader",
    "Batch": "batch",
    "EcommerceGenerator": "ecommerce",
    "IcebergLoader": "loader",
    "SaaSGenerator": "saas",
    "WithDefects": "defects",
}

if not TYPE_CHECKING:  # so that type checkers accept only the names above

    def __getattr__(name: str) -> object:
        """Import the module of an exported name when the name is used for the first time."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
