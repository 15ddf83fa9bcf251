"""The platform contract: an app's floe.yaml, an environment's platform.yaml, and what they compile to."""
