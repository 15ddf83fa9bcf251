"""The definitions that Dagster loads."""

from floe_runtime.definitions import definitions

defs = definitions(__file__)
