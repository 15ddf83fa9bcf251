"""The Dagster code location of the e-commerce application."""
