"""The `painter` command: which commands there are, and what their errors look like. Holds no logic.

Exit codes: 0 done; 2 wrong before work began; 1 failed later; 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

import ast
import signal
import sys
import traceback
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

# This file's folder first: modules import one another by their short names, and no file of the user's may stand in for
# one of ours.
sys.path.insert(0, str(Path(__file__).resolve().parent))

import typer
from typer.core import TyperCommand, TyperGroup

from pipeline.errors import PipelineError, UsageError
from pipeline.process import log, shutdown

#: Command → module with a function of the same name, imported only when the command is asked for.
COMMANDS = {
    "up": "commands.up",
    "view": "commands.view",
    "paint": "commands.paint",
    "watch": "commands.watch",
    "live": "commands.live",
    "window": "commands.window",
    "work": "commands.work",
    "status": "commands.status",
    "drain": "commands.drain",
    "styles": "commands.styles",
    "train": "commands.train",
    "bench": "commands.bench",
    "flower": "commands.flower",
    "celery": "commands.celery",
    "acl": "commands.acl",
    "doctor": "commands.doctor",
}
# All arguments of `painter celery` are Celery's own.
_PASSED_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
_HELP = {"help_option_names": ["-h", "--help"]}
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 2, 130, 143
_STOPS = (signal.SIGINT, signal.SIGTERM)
# Python drops what is raised inside a finalizer. A stop that nobody heard of is raised again after this long, or a
# command whose one SIGTERM met a finalizer would go on for ever.
_HEARD_S = 1.0

# Typer carries a click of its own and exports only the leaves of its errors; this is their root.
_ClickError: Any = typer.BadParameter.__mro__[2]


class _Commands(TyperGroup):
    """Imports a command's module when it is asked for: `painter styles` starts without what `painter train` needs."""

    _is_listing = False

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the help, which lists the commands."""
        self._is_listing = True
        super().format_help(ctx, formatter)
        self._is_listing = False

    def shell_complete(self, ctx: typer.Context, incomplete: str) -> list[Any]:  # type: ignore[override]
        """Return what a shell may put for the word that is being typed."""
        self._is_listing = True
        found = super().shell_complete(ctx, incomplete)
        self._is_listing = False
        return found

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Return every command, in the order users meet them."""
        return list(COMMANDS)

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        """Find the command that is asked for. Raises `UsageError` naming those that were probably meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(args[0], COMMANDS, n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else "`painter --help` lists them"
            raise UsageError(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """Return a command, None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        if self._is_listing:
            return _outline(cmd_name)
        holder = typer.Typer(add_completion=False)
        settings = _PASSED_ON if cmd_name == "celery" else _HELP
        holder.command(cmd_name, context_settings=settings)(getattr(import_module(COMMANDS[cmd_name]), cmd_name))
        return typer.main.get_command(holder)


def _outline(name: str) -> TyperCommand:
    """Return a command that is only listed: its help is read from the source, since its imports would take seconds."""
    source = Path(__file__).with_name("commands") / f"{name}.py"
    functions = (node for node in ast.parse(source.read_text("utf-8")).body if isinstance(node, ast.FunctionDef))
    return TyperCommand(name, help=next(ast.get_docstring(node) for node in functions if node.name == name))


app = typer.Typer(cls=_Commands, context_settings=_HELP, pretty_exceptions_enable=False, no_args_is_help=True)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib import metadata  # 40 ms, for this option alone

        print(f"painter {metadata.version('power-painter')}")
        raise typer.Exit


Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say every change of state.")]
Version = Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")]


@app.callback()
def root(verbose: Verbose = False, version: Version = False) -> None:
    """Paint videos, photos and live cameras with neural styles."""
    log.set_up(verbose=verbose)


def main() -> NoReturn:
    """Run one command and exit with its code."""
    sys.unraisablehook = _tell_unraisable
    stop = _Stop()
    for signum in _STOPS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, stop)
    try:
        code = _run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        # Python puts handlers, not this, back to the default at its exit.
        for signum in _STOPS:
            signal.signal(signum, signal.SIG_IGN)
    sys.exit(code)


def _run() -> int:
    try:
        return int(app(prog_name="painter", standalone_mode=False) or 0)
    except UsageError as error:
        return _say(error, EXIT_USAGE)
    except PipelineError as error:
        return _say(error, EXIT_FAILED)
    except (KeyboardInterrupt, typer.Abort):  # Typer makes the one into the other
        return _say("stopped", EXIT_INTERRUPTED)
    except _ClickError as error:
        message = error.format_message()
        # Without a command click raises its whole help, shown already, as an error of no text.
        return _say(message, error.exit_code) if message else int(error.exit_code)
    except Exception as error:
        if "-v" in sys.argv or "--verbose" in sys.argv:
            traceback.print_exc()
        return _say(f"{type(error).__name__}: {error} (a fault of ours; painter --verbose … shows where)", EXIT_FAILED)


def _say(problem: object, code: int) -> int:
    lines = str(problem).strip().splitlines() or [type(problem).__name__]
    print(f"painter: {' '.join(line.strip() for line in lines)}", file=sys.stderr)
    return code


class _Stop:
    """A signal handler: SIGTERM stops as cleanly as Ctrl-C.

    Asking again changes nothing: every wait on the way out has a deadline, and cut short it would leave workers and
    half-written files.
    """

    def __init__(self) -> None:
        self._asked = 0

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        # In `_run` and `main` themselves a command has ended and its exit code is known.
        has_ended = frame is not None and frame.f_code in (main.__code__, _run.__code__)
        if _is_on_its_way_out() or (self._asked and has_ended):
            return
        self._asked = self._asked or signum
        shutdown.begin()
        signal.signal(signal.SIGALRM, self)
        signal.setitimer(signal.ITIMER_REAL, _HEARD_S, _HEARD_S)
        if self._asked == signal.SIGTERM:
            raise SystemExit(EXIT_TERMINATED)
        raise KeyboardInterrupt


def _tell_unraisable(found: Any) -> None:
    """Show what Python had to drop, but not a stop, which comes again."""
    if not isinstance(found.exc_value, KeyboardInterrupt | SystemExit):
        sys.__unraisablehook__(found)


def _is_on_its_way_out() -> bool:
    """Whether the main thread is dealing with what `_Stop` raised: somewhere below, blocks that clean up end."""
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
        error = error.__context__
    return error is not None


if __name__ == "__main__":
    main()
