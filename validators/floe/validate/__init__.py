"""floe-validate: checks manifests against the API server's rules, each other and the policies of this project."""
