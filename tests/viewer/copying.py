"""What every video sink's test does: a source's own frames go straight into a sink."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.protocol.frame import Frame
from producer.source import open_source
from viewer.segments import SinkOptions
from viewer.sink import Sink, open_sink

OPTIONS = SinkOptions(painting="test", segment_frames=5)


def write(sink: Sink, frames: Iterable[Frame]) -> None:
    """Give the frames to the sink."""
    for frame in frames:
        sink.write(frame)


def copy(clip: Path, output: Path, options: SinkOptions = OPTIONS) -> Path:
    """Copy the clip through source and sink, going on where an earlier copy stopped; return `output`."""
    source = open_source(clip, start_s=options.start_s, end_s=options.end_s)
    sink = open_sink(clip, output, source.info, options)
    write(sink, source.frames(sink.next_seq()))
    sink.finish()
    sink.close()
    return output
