"""What each role does, and its secrets."""
