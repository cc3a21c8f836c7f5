"""One thin stack a file: which constructs make up an environment."""
