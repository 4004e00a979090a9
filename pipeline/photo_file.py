"""Opening a photo with Pillow: the one place where the formats Pillow does not know by itself are registered.

Only the header is read here. Decoders run when the pixels are asked for.
"""

from functools import lru_cache
from pathlib import Path

from PIL import Image

# Above every limit that can be set for a photo's pixels.
_BACKSTOP_PIXELS = 1 << 28


def open_photo(path: Path) -> Image.Image:
    """Open a photo of any format that is read, HEIC included. Raises what Pillow raises: OSError, SyntaxError, …"""
    _register()
    return Image.open(path)


@lru_cache(maxsize=1)
def _register() -> None:
    # Pillow refuses at twice its own limit and below that warns of what is refused here anyway, after the header.
    Image.MAX_IMAGE_PIXELS = _BACKSTOP_PIXELS
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        # No wheel for this platform: HEIC is then refused as an unknown kind.
        return
    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
