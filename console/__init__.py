"""What every command builds on: where things lie, and how a person sees what is going on. Imports nothing of ours."""
