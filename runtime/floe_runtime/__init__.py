"""The package that runs in production: the platform contract, clients of its services, and code for code locations.

A code location runs dbt in the process of the Dagster run, reads Iceberg tables and publishes marts. This package does
not import the commands of a checkout (the package `floe`), because the production image does not contain them. They
import the contract from here.
"""
