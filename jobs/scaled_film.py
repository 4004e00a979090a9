"""A film whose frames travel at the size they are painted at, and whose paintings are enlarged where they are written.

Workers get a fifth of a 1080p frame and the server carries a fifth; noise and motion are found in that fifth, too.
A source and a sink that belong together: what the one reads, the other needs to enlarge by.
"""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.protocol.brush import painting_size
from pipeline.protocol.frame import BRUSH_AS_SENT, Frame, Landmark, Look, StreamInfo
from producer.denoise import WARM_UP_FRAMES, TemporalDenoiser
from producer.source import Source
from viewer.sink import Sink
from workers.dark import leave_bars
from workers.enlarge import enlarged, resized
from workers.stylize import apply_look

Pixels = NDArray[np.uint8]


def sent_size(info: StreamInfo, look: Look) -> tuple[int, int] | None:
    """Return the width and height at which a film's frames are sent; None where they go as they are.

    Photos do: their sizes differ, and several workers enlarge sooner than one sink.
    """
    size = painting_size(info.width, info.height, look.brush) if info.width else (0, 0)
    # Larger ones are enlarged by workers: on the wire they would only cost.
    return size if look.strength > 0 and size[1] < info.height else None


class ScaledFilm:
    """The frames of `video` at `size`, (width, height). One thread reads, another writes the paintings to `sink_for`.

    `denoise`: whether noise is taken out, at that size.
    """

    def __init__(self, video: Source, size: tuple[int, int], look: Look, *, denoise: bool) -> None:
        self.info = video.info
        #: How workers are to paint: what needs the whole source is done where that is.
        self.sent_look = Look(brush=BRUSH_AS_SENT, mix=look.mix, share=look.share)
        self._video, self._size, self._look, self._denoise = video, size, look, denoise
        # The sources of frames that are being painted; luma alone where that is enough, 2 MB at 1080p.
        self._sources: dict[int, Pixels] = {}
        self._needs_colour = look.keep_colours or look.strength < 1

    def frames(self, start: int = 0, landmark: Landmark | None = None) -> Iterator[Frame]:
        """As `Source.frames`; begins some frames early, as `DenoisedVideo.frames` does."""
        denoiser = TemporalDenoiser()
        first = max(0, start - WARM_UP_FRAMES) if self._denoise else start
        for frame in self._video.frames(first, landmark):
            small = resized(frame.pixels, self._size)
            if self._denoise:
                small = denoiser.apply(small)
            if frame.seq >= start:
                self._sources[frame.seq] = frame.pixels if self._needs_colour else _luma(frame.pixels)
                yield replace(frame, pixels=small)

    def close(self) -> None:
        """End a running iteration at its next frame."""
        self._video.close()

    def sink_for(self, sink: Sink) -> Sink:
        """Return a sink that takes the paintings and writes them to `sink` at the film's size."""
        return _EnlargingSink(sink, self)

    def enlarge(self, seq: int, painted: Pixels) -> Pixels:
        """Return the painting of frame `seq` at the film's size, as its look asks; in order, each once."""
        source = self._sources.pop(seq)
        for passed in [older for older in self._sources if older < seq]:
            del self._sources[passed]
        large = enlarged(painted, source)
        leave_bars(large, source)
        return apply_look(source, large, self._look) if self._needs_colour else large


class _EnlargingSink:
    """Writes enlarged paintings; all else is the sink's own."""

    def __init__(self, sink: Sink, film: ScaledFilm) -> None:
        self._sink, self._film = sink, film
        self.next_seq, self.take_notices, self.stop = sink.next_seq, sink.take_notices, sink.stop
        self.finish, self.keep_partial, self.close = sink.finish, sink.keep_partial, sink.close
        self.landmark = sink.landmark

    def write(self, frame: Frame) -> None:
        self._sink.write(replace(frame, pixels=self._film.enlarge(frame.seq, frame.pixels)))


def _luma(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), np.uint8)
