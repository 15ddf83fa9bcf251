"""Preflight: is every service there that an environment needs, and does it let us do what we will do."""
