"""A model of a station's own: from labelled pictures of one product to a checkpoint that has earned its place."""
