"""Synthetic data and the way it reaches Iceberg: batches as Arrow tables, loaded exactly once.

`EcommerceGenerator` makes `Batch`es, `IcebergLoader` appends them and reports `Appended`. The names are resolved on
first use (PEP 562): importing this package costs next to nothing, the generator needs NumPy, PyArrow and Faker, the
loader PyIceberg.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from floe_synthetic.batch import Batch
    from floe_synthetic.ecommerce import EcommerceGenerator
    from floe_synthetic.loader import Appended, IcebergLoader

__all__ = ["Appended", "Batch", "EcommerceGenerator", "IcebergLoader"]

_HOMES = {"Appended": "loader", "Batch": "batch", "EcommerceGenerator": "ecommerce", "IcebergLoader": "loader"}

if not TYPE_CHECKING:  # a type checker shall know the names above and no others

    def __getattr__(name: str) -> object:
        """Import the module behind an exported name when the name is first asked for."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
