"""What every code location shares: dbt in the run's own process, Iceberg as its source, publication of the marts."""
