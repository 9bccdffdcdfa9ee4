"""A region of interest: the part of a frame that is judged."""

from dataclasses import dataclass

from inspector.core.frame import Image


@dataclass(frozen=True, slots=True)
class Region:
    """A named rectangle in the frame."""

    name: str
    """Name of the region, unique within the station."""
    box_px: tuple[int, int, int, int] | None = None
    """(x, y, width, height) in pixels of the frame; None means the whole frame."""

    def crop(self, image: Image) -> Image:
        """Return the region's pixels, (h, w, 3); smaller than asked or empty where the box leaves the frame."""
        if self.box_px is None:
            return image
        x, y, width, height = self.box_px
        return image[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
