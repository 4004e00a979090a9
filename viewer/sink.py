"""What a sink is, and which one a source and an output path call for.

Invariant of every sink here: under the final name there is a whole file or none, and what is safely written is
found again by the next run of the same job.
"""

from pathlib import Path
from typing import Protocol

from pipeline.errors import UsageError
from pipeline.protocol.frame import Frame, Landmark, StreamInfo
from viewer.photo_sink import PhotoSink
from viewer.pipe_sink import PipeSink, is_pipe
from viewer.segments import SinkOptions
from viewer.video_sink import VideoSink, choose_encoder


class Sink(Protocol):
    """Takes the painted frames of one file in order."""

    def next_seq(self) -> int:
        """Return how many frames an earlier run left safely written: painting goes on at this number."""
        ...

    def landmark(self) -> Landmark | None:
        """Return the last frame safely written, where its time tells where to seek in the source."""
        ...

    def write(self, frame: Frame) -> None:
        """Take a painted frame; each once, in order of `seq`. Raises `SinkError`.

        May wait for the encoder, once stopped or once the process is leaving for a moment only: `Stopped`.
        """
        ...

    def take_notices(self) -> list[str]:
        """Return lines for the user about this output, such as a track left out; each once. After opening, after
        `finish`."""
        ...

    def stop(self) -> None:
        """Have a `write` that waits end soon, and `finish` within seconds; from any thread."""
        ...

    def finish(self) -> None:
        """Make the whole output appear under its name and remove working files. Raises `SinkError`."""
        ...

    def keep_partial(self) -> Path | None:
        """Leave what is painted as something to look at, say where; None when nothing is. The job can still go on."""
        ...

    def close(self) -> None:
        """Stop now and keep what the next run can go on from. May be called twice, and after `finish`."""
        ...


def check_output(output: Path, info: StreamInfo, options: SinkOptions) -> None:
    """Raise `UsageError` for an output that no sink of this source would write: a suffix, an encoder, a quality."""
    if is_pipe(output) and not info.width:
        raise UsageError(f"-o {output}: photos are written as files; name a folder")
    if info.width and not is_pipe(output):
        choose_encoder(output, info, options)


def open_sink(source: Path, output: Path, info: StreamInfo, options: SinkOptions | None = None) -> Sink:
    """Open the sink for one source: photos (of no common size) or a video. Raises `UsageError` before work begins."""
    options = options or SinkOptions()
    if output.exists() and source.exists() and output.samefile(source):
        raise UsageError(f"{output}: the output would replace its own source")
    if info.width == 0:
        return PhotoSink(source, output, options)
    if is_pipe(output):
        return PipeSink(source, output, info, options)
    return VideoSink(source, output, info, options)
