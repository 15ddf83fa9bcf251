"""How the files of a checkout become the platform contract, whose models what runs in production has too."""
