"""The sentences: each module joins verbs into one command."""
