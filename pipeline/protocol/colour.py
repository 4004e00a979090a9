"""Which matrix and range a video's pixels have: the one rule that source (YUV → BGR) and sink (BGR → YUV) must share.

Symmetry is the invariant: what one side unfolds the other folds back, tagged or not, or colours drift.
"""

from pipeline.protocol.frame import ColourTags

#: FFmpeg's `AVColorSpace` → swscale's coefficient table (`SWS_CS_…`); other tags have no table.
_TABLES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
_BT709, _BT601 = 1, 5
#: FFmpeg's `AVCOL_RANGE_MPEG` and `AVCOL_RANGE_JPEG`.
LIMITED, FULL = 1, 2


def matrix(tags: ColourTags, width: int, height: int) -> int:
    """Return swscale's coefficient table for a video of this size.

    Untagged video is taken as players take it: BT.601 up to 576 rows (columns, held upright), BT.709 above.
    """
    guess = _BT709 if min(width, height) > 576 else _BT601
    return guess if tags.colorspace is None else _TABLES.get(tags.colorspace, guess)


def sample_range(tags: ColourTags) -> int:
    """Return `LIMITED` (16–235) or `FULL` (0–255); untagged video is limited."""
    return FULL if tags.range == FULL else LIMITED
