"""`floe demo`: the platform on this machine, with live data."""
