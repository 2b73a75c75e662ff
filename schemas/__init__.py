"""The nouns of BabelBeam: frozen dataclasses that are checked when they are made and do nothing else."""
