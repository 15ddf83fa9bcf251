"""Carrying what one environment runs to the next: as an edit of its overlay, proven, on a branch."""
