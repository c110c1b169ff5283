"""What anyone does with a finished campaign: checks all of it and says what that means."""
