"""How large a frame is painted: what producers and workers agree on, so that strokes keep their size in it.

A network draws strokes of so many pixels. So a picture is painted at a size that fits, and brought back to its own.
"""

from pipeline.protocol.frame import BRUSH_AS_SENT

#: The short side whose strokes are brush 1, in px: that of a 640×480 camera.
CANONICAL_PX = 480


def painting_size(width: int, height: int, brush: float) -> tuple[int, int]:
    """Return (width, height) in px at which a frame of `width`×`height` is painted.

    Above `CANONICAL_PX` brush 1 shrinks it to that; below it stays as it is. `BRUSH_AS_SENT` leaves any size.
    """
    if brush == BRUSH_AS_SENT:
        return width, height
    scale = min(1.0, CANONICAL_PX / min(width, height)) / brush
    return max(1, round(width * scale)), max(1, round(height * scale))
