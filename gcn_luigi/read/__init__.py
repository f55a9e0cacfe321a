"""The user's side: datasets read back."""
