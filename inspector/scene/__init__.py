"""The scene before a camera: its reference, a look at it, and the warnings that looks add up to. Changes no verdict."""
