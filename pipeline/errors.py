"""Every error a caller can act on: one class per decision, each also the nearest builtin.

Open to all rooms. All arguments go to `super().__init__`, so an error survives pickling; its text is one line
that says what is wrong and what would be right, ready to be shown to a user as it is.
"""

from collections.abc import Mapping


class PipelineError(Exception):
    """Root of everything this project raises on purpose."""


class UsageError(PipelineError, ValueError):
    """Wrong before work began: an option, an input, an output folder. The command exits with 2."""


class StyleError(UsageError):
    """No such style, or its files cannot be read."""


class ServerUnreachable(UsageError):
    """No server answers at the broker URL when a command starts."""


class WireError(PipelineError, ValueError):
    """Bytes from outside are not a document of ours: wrong version, types, size or picture header."""


class VersionTooNew(WireError):
    """A ticket of a newer version than ours: not wrong, but for somebody else."""


class SourceError(PipelineError, OSError):
    """A source broke while being read. `painted` frames before it stay good."""


class PhotosUnreadable(SourceError):
    """Some of a folder's photos could not be read. `reasons`: by name; the others are good."""

    def __init__(self, reasons: Mapping[str, str], total: int) -> None:
        super().__init__(reasons, total)
        self.reasons, self.total = reasons, total

    def __str__(self) -> str:
        named = ", ".join(f"{name} ({why})" for name, why in list(self.reasons.items())[:3])
        more = f" and {len(self.reasons) - 3} more" if len(self.reasons) > 3 else ""
        return f"{len(self.reasons)} of {self.total} photos cannot be read: {named}{more}"


class SourceOver(PipelineError, EOFError):
    """A live source ended for good and not as it should have: opening it again would end the same way."""


class SinkError(PipelineError, OSError):
    """The output cannot be written: disk full, folder removed."""


class FrameFailed(PipelineError, RuntimeError):
    """A frame of a file could not be painted in the allowed number of attempts."""

    def __init__(self, stream: str, seq: int, reason: str) -> None:
        super().__init__(stream, seq, reason)
        self.stream, self.seq, self.reason = stream, seq, reason

    def __str__(self) -> str:
        return f"frame {self.seq} could not be painted: {self.reason}"


class ServerGone(PipelineError, ConnectionError):
    """The server stayed away longer than a job waits for it."""


class ServerFull(PipelineError, MemoryError):
    """The server is at its `maxmemory` and refused a write; wait and try again."""


class NotAllowed(PipelineError, PermissionError):
    """The server does not let our user do this: its ACL file is older than we are, or made for another role."""


class Stopped(PipelineError, InterruptedError):
    """Somebody stopped the job before its end; it can go on later."""


class WorkerLost(PipelineError, ChildProcessError):
    """Workers keep dying or cannot start; nobody is left to paint."""
