"""The Dagster code location of the application."""
