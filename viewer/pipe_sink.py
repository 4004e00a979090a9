"""Standard output as a sink: raw pictures, and the source's sound in step with them, for the next program of a pipe.

Invariant: what is written is gone, so nothing is resumed and nothing kept. A reader that stops reading is waited for.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # noqa: F401  # isort: skip
import av
from av.container import OutputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from pipeline.errors import Stopped, UsageError
from pipeline.ffmpeg import file_url
from pipeline.protocol.frame import Frame, Landmark, StreamInfo
from viewer.metadata import copied_tags
from viewer.remux import step_of, timeline_of
from viewer.segment_writer import configure_colours, to_picture
from viewer.segments import SinkOptions, sink_error
from viewer.side_tracks import SideTracks, Timed
from viewer.source_clock import SourceClock
from viewer.source_file import Origin
from viewer.track_plan import plan_tracks

# What `-o` is for a pipe → FFmpeg's muxer.
_PIPES = {"-": "nut", "-.nut": "nut", "-.y4m": "yuv4mpegpipe"}


def is_pipe(output: Path) -> bool:
    """Say whether an output is standard output."""
    return str(output) in _PIPES


class PipeSink:
    """Writes painted frames to standard output; see `viewer.sink.Sink`."""

    def __init__(
        self, source: Path, output: Path, info: StreamInfo, options: SinkOptions, pipe: IO[bytes] | None = None
    ) -> None:
        """`pipe`: instead of standard output. Raises `UsageError` for options that raw pictures have no use for."""
        if options.encoder != "auto" or options.crf is not None or options.preset:
            raise UsageError(f"-o {output} writes raw pictures: leave out --encoder, --crf and --preset")
        self._source, self._info, self._options = source, info, options
        self._muxer = _PIPES[str(output)]
        self._origin = Origin.read(source, info)
        self._plan = plan_tracks(source, self._muxer)
        self._notices = [*self._plan.notices, "written to a pipe: interrupted, it begins anew"]
        self._pipe = pipe or os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        self._stack = ExitStack()
        self._out: OutputContainer | None = None
        self._reformatter = VideoReformatter()
        self._next, self._last_pts, self._is_stopped = 0, 0, False

    def next_seq(self) -> int:
        """Return 0: nothing of an earlier run is left."""
        return 0

    def landmark(self) -> Landmark | None:
        """Nothing of an earlier run is left."""
        return None

    def write(self, frame: Frame) -> None:
        """Write the frame, and the sound up to it; waits for the reader. Raises `SinkError`, `Stopped`."""
        if frame.seq != self._next:
            raise ValueError(f"frame {frame.seq}, expected number {self._next}")
        if self._is_stopped:
            raise Stopped("stopped")
        try:
            if self._out is None:
                self._open(frame.pts)
            at_s = frame.pts * self._info.time_base - self._shift_s
            self._mux_tracks(at_s)
            picture = to_picture(self._reformatter, frame.pixels, self._info, self._video.pix_fmt or "", self._size)
            picture.pts, picture.time_base = round(at_s / self._info.time_base), self._info.time_base
            for packet in self._video.encode(picture):
                self._tracks.mux(packet)
            self._pipe.flush()
        except (OSError, ValueError, av.FFmpegError) as error:
            raise sink_error(Path("-"), error) from error
        self._next, self._last_pts = frame.seq + 1, frame.pts

    def take_notices(self) -> list[str]:
        """Return the lines about the output not taken yet."""
        notices, self._notices = self._notices, []
        return notices

    def stop(self) -> None:
        """Have the next `write` raise."""
        self._is_stopped = True

    def finish(self) -> None:
        """Write the sound that is left, and end the stream. Raises `SinkError`."""
        try:
            if self._out is None:
                raise OSError("not one frame was painted")
            is_cut = self._options.end_s is not None
            end_s = (self._last_pts + step_of(self._origin)) * self._info.time_base - self._shift_s if is_cut else None
            self._mux_tracks(end_s)
            for packet in self._video.encode(None):
                self._tracks.mux(packet)
            self._notices += self._tracks.notices()
            self._stack.close()
            self._pipe.close()
        except (OSError, ValueError, av.FFmpegError) as error:
            raise sink_error(Path("-"), error) from error

    def keep_partial(self) -> Path | None:
        """Nothing is kept."""
        return None

    def close(self) -> None:
        """End the stream where it is. What its reader or the disk says of that helps nobody any more."""
        for close in (self._stack.close, self._pipe.close):
            with suppress(OSError, ValueError, av.FFmpegError):
                close()

    def _open(self, first_pts: int) -> None:
        """Write the header: now the first picture's time is known."""
        info, origin = self._info, self._origin
        source = self._stack.enter_context(av.open(file_url(self._source), metadata_errors="replace"))
        out = self._stack.enter_context(av.open(_Unseekable(self._pipe), "w", format=self._muxer))
        video = out.add_stream("rawvideo", rate=info.rate or Fraction(25))
        assert isinstance(video, VideoStream)
        self._size = info.width, info.height
        video.width, video.height = self._size
        video.pix_fmt = self._options.pix_fmt or ("yuv444p" if info.width % 2 or info.height % 2 else "yuv420p")
        video.codec_context.time_base = video.time_base = info.time_base
        configure_colours(video, info, origin.aspect)
        timeline = timeline_of(origin, first_pts, None, cut_start=bool(self._options.start_s))
        self._shift_s = timeline.shift_s
        clock = SourceClock(origin.path, step_of(origin) * info.time_base)
        self._tracks = SideTracks(source, out, self._plan, timeline, clock)
        out.metadata.update(copied_tags(source))
        out.start_encoding()
        self._video, self._out = video, out
        self._waiting: Iterator[Timed] = self._tracks.packets()
        self._ahead: Timed | None = next(self._waiting, None)

    def _mux_tracks(self, end_s: Fraction | None) -> None:
        """Write the other tracks' packets before `end_s`; None: all."""
        while self._ahead is not None and (end_s is None or self._ahead[0] < end_s):
            self._tracks.mux(self._ahead[1])
            self._ahead = next(self._waiting, None)


class _Unseekable:
    """A file as FFmpeg is to see a pipe."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, data: Any) -> int:
        """Write all of `data`."""
        return self._file.write(data)
