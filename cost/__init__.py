"""What an environment costs: a price table, and who reads it against the synthesised templates."""
