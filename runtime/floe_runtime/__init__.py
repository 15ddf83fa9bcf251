"""What a data platform runs in production: the contract, its services, and what every code location shares.

A code location has dbt in the run's own process, Iceberg as its source and publication of the marts. Nothing here
imports the commands of a checkout (`floe`), which import the contract from here.
"""
