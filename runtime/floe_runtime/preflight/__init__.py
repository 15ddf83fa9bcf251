"""`floe preflight`: check that every service of an environment can be reached and permits what the pipeline does."""
