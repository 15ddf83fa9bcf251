"""floe-validate: will the API server take it, does it hold together, does it keep the rules of the house."""
