"""The e-commerce application's Dagster code location."""
