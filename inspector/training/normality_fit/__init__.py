"""Fitting what good parts look like: a memory of their patches and a limit, from good pictures alone, with what that limit promises."""
