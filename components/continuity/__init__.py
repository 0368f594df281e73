"""What an environment holds data by, and which changes of it would lose that data."""
