"""Scripts that the pages of the docs site load, kept beside them so that no page needs a network."""
