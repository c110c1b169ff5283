"""What lies in a campaign folder: signed statements, sealed mail, and the files that they name."""
