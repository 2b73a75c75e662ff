"""One module per source; none yet."""
