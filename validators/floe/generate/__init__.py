"""`floe generate`: synthetic data as files, and a picture of their patterns."""
