"""`floe check`: everything that can be checked about an environment without its cluster and its services."""
