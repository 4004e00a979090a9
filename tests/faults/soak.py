"""`make soak MINUTES=60`: live at full load, files in turn, viewers coming and going; does anything grow or slow down?

Every 5 s the memory, file descriptors and threads of each process and the server's memory are written down, and the
delay of a picture from its queue to its publication. At the end: straight lines through what came after the warm-up, a
CSV of everything, a PNG, and exit code 1 where memory grows by 1 MB an hour or more, descriptors or threads by one, or
the delay of the last fifth is not as in the first minute.
"""

import argparse
import csv
import os
import random
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

# cv2 before av: each brings its own FFmpeg, and in the other order cv2.imshow hangs later in the process.
import cv2  # isort: skip
import numpy as np
import psutil

from pipeline.errors import PipelineError
from pipeline.protocol.wire import unpack_stages
from tests.faults.stage import Command, Stage, Watcher
from tests.media import Clip, make_clip

_EVERY_S = 5.0
_STYLES = ("wave", "test-sleep-10")
_SLOPE_MB_H = 1.0
# Allocators, caches and Celery's first heartbeats settle within this share of the run, and at most within ten minutes.
_WARM_UP, _WARM_UP_S = 0.25, 600.0
# In less time an allocator's steps look like slopes of many MB an hour: told then, not judged.
_JUDGED_S = 1800.0
_SIZE = (1200, 900)


@dataclass(slots=True)
class Series:
    """One figure over time."""

    unit: str
    at_s: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, at_s: float, value: float) -> None:
        self.at_s.append(at_s)
        self.values.append(value)

    def slope_an_hour(self, from_s: float) -> float:
        """Growth an hour of the middle line through the values after `from_s` (Theil–Sen: outliers do not tilt it)."""
        points = [(t, v) for t, v in zip(self.at_s, self.values, strict=True) if t >= from_s]
        step = max(1, len(points) // 200)
        points = points[::step]
        slopes = [(v2 - v1) / (t2 - t1) for i, (t1, v1) in enumerate(points) for t2, v2 in points[i + 1 :]]
        return float(np.median(slopes)) * 3600 if slopes else 0.0


class PageViewer:
    """A program that shows a stream of the page server until it is closed."""

    def __init__(self, url: str) -> None:
        self._url, self._closed = url, False
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed = True
        self._thread.join(15)

    def _look(self) -> None:
        with suppress(OSError), urllib.request.urlopen(self._url, timeout=10) as answer:
            while not self._closed and answer.read(4096):
                pass


class Soak:
    """One soak over one stage."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self._stage, self._dice = stage, random.Random(seed)
        self._film = make_clip(stage.folder / "film.mp4", Clip(frames=600))
        self._camera = make_clip(stage.folder / "camera.mp4", Clip(frames=100, width=320, height=240))
        self.series: dict[str, Series] = {}
        self._processes: dict[str, psutil.Process] = {}
        self._viewers: list[Watcher] = []
        self._page = ""
        self._visitors: list[PageViewer] = []
        self._job: Command | None = None
        self.files = 0

    def run(self, seconds: float) -> None:
        """Load everything for so long, and write down what it takes."""
        stage = self._stage
        commands = {f"launcher {style}": stage.work(style, 1) for style in _STYLES}
        for number in range(3):
            style = _STYLES[number % 2]
            commands[f"live {number}"] = stage.live(self._camera, style, f"cam{number}")
        commands["page"] = stage.run("view", "--port", "0", "--broker", stage.server.url)
        stage.wait(lambda: "http://" in commands["page"].said(), "the page")
        self._page = next(word for word in commands["page"].said().split() if word.startswith("http://"))
        self._processes = {name: psutil.Process(command.pid) for name, command in commands.items()}
        for style in _STYLES:
            self._processes |= {f"worker {style}": psutil.Process(pid) for pid in stage.worker_pids(style)}
        assert stage.server.pid is not None
        self._processes["server"] = psutil.Process(stage.server.pid)
        began_s = time.monotonic()
        next_s = 0.0
        while (at_s := time.monotonic() - began_s) < seconds:
            self._stir()
            if at_s >= next_s:
                next_s += _EVERY_S
                self._write_down(at_s)
            time.sleep(0.2)

    def _stir(self) -> None:
        """One file after the other, and viewers that stay for seconds."""
        if self._job is None or not self._job.is_running():
            if self._job is not None:
                assert self._job.end() == 0, self._job.said()
                self.files += 1
                self._stage.commands.remove(self._job)
            output = self._stage.folder / "out.mp4"
            output.unlink(missing_ok=True)
            self._job = self._stage.paint(self._film, _STYLES[1], output)
        self._come_and_go()

    def _come_and_go(self) -> None:
        if len(self._visitors) < 6 and self._dice.random() < 0.1:
            self._visitors.append(PageViewer(f"{self._page}streams/cam{self._dice.randrange(3)}.mjpg"))
        elif self._visitors and self._dice.random() < 0.1:
            self._visitors.pop(self._dice.randrange(len(self._visitors))).close()
        if len(self._viewers) < 6 and self._dice.random() < 0.1:
            self._viewers.append(self._stage.watcher_now(f"cam{self._dice.randrange(3)}"))
        elif self._viewers and self._dice.random() < 0.1:
            self._stage.dismiss(self._viewers.pop(self._dice.randrange(len(self._viewers))))

    def _write_down(self, at_s: float) -> None:
        for name, process in self._processes.items():
            with suppress(psutil.NoSuchProcess):
                self._add(f"{name} memory", "MB", at_s, process.memory_info().rss / 1e6)
                self._add(f"{name} descriptors", "", at_s, process.num_fds())
                self._add(f"{name} threads", "", at_s, process.num_threads())
        with suppress(PipelineError):
            self._add("server data", "MB", at_s, self._stage.transport.memory()[0] / 1e6)
            for number in range(3):
                if (newest := self._stage.transport.newest(f"cam{number}")) is not None and newest.stages:
                    sent_ms = unpack_stages(newest.stages).sent_ms
                    self._add(f"cam{number} delay", "ms", at_s, newest.published_ms - sent_ms)

    def _add(self, name: str, unit: str, at_s: float, value: float) -> None:
        self.series.setdefault(name, Series(unit)).add(at_s, value)


def faults(series: dict[str, Series], seconds: float) -> list[str]:
    """Return what grew, or became slower."""
    found = []
    warm_s = min(_WARM_UP * seconds, _WARM_UP_S)
    for name, one in series.items():
        slope = one.slope_an_hour(warm_s)
        is_judged = seconds >= _JUDGED_S
        if one.unit == "MB" and is_judged and slope >= _SLOPE_MB_H:
            found.append(f"{name} grows by {slope:.1f} MB an hour")
        if one.unit == "" and is_judged and slope >= 1.0:
            found.append(f"{name} grow by {slope:.1f} an hour")
        if one.unit == "ms":
            first = [v for t, v in zip(one.at_s, one.values, strict=True) if t <= max(60.0, 0.2 * seconds)]
            last = [v for t, v in zip(one.at_s, one.values, strict=True) if t >= 0.8 * seconds]
            # Half as much again, and 50 ms, are what another load of the machine does.
            if np.median(last) > 1.5 * np.median(first) + 50:
                found.append(f"{name}: {np.median(first):.0f} ms in the first minute, {np.median(last):.0f} at the end")
    return found


def write_csv(series: dict[str, Series], path: Path) -> None:
    """Write every figure: name, second, value."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("figure", "unit", "second", "value"))
        for name, one in series.items():
            rows.writerows((name, one.unit, f"{t:.1f}", f"{v:.3f}") for t, v in zip(one.at_s, one.values, strict=True))


def draw(series: dict[str, Series], path: Path) -> None:
    """Draw memory, descriptors, threads and delay one below the other, each from zero."""
    sheet = np.full((_SIZE[1], _SIZE[0], 3), 255, np.uint8)
    panels = {
        "memory, MB": " memory",
        "server data, MB": "server data",
        "descriptors": " descriptors",
        "delay, ms": " delay",
    }
    height = _SIZE[1] // len(panels)
    for row, (title, ending) in enumerate(panels.items()):
        chosen = {name: one for name, one in series.items() if name.endswith(ending)}
        _panel(sheet[row * height : (row + 1) * height], title, chosen)
    cv2.imwrite(str(path), sheet)


def _panel(area: np.ndarray, title: str, chosen: dict[str, Series]) -> None:
    height, width = area.shape[:2]
    left, right, top, bottom = 70, width - 260, 24, height - 24
    most = max((max(one.values) for one in chosen.values() if one.values), default=1.0) * 1.05 or 1.0
    end_s = max((one.at_s[-1] for one in chosen.values() if one.at_s), default=1.0) or 1.0
    font, ink = cv2.FONT_HERSHEY_SIMPLEX, (60, 60, 60)
    cv2.putText(area, title, (left, 16), font, 0.45, ink, 1, cv2.LINE_AA)
    for share in (0.0, 0.5, 1.0):
        y = round(bottom - share * (bottom - top))
        cv2.line(area, (left, y), (right, y), (220, 220, 220), 1)
        cv2.putText(area, f"{share * most:.4g}", (8, y + 4), font, 0.4, ink, 1, cv2.LINE_AA)
    cv2.putText(area, f"{end_s / 60:.0f} min", (right - 40, height - 6), font, 0.4, ink, 1, cv2.LINE_AA)
    for number, (name, one) in enumerate(sorted(chosen.items())):
        hue = np.uint8([[[number * 180 // max(1, len(chosen)), 200, 170]]])
        colour = tuple(int(c) for c in cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0])
        points = [
            (left + t / end_s * (right - left), bottom - v / most * (bottom - top))
            for t, v in zip(one.at_s, one.values, strict=True)
        ]
        cv2.polylines(area, [np.rint(points).astype(np.int32)], False, colour, 1, cv2.LINE_AA)
        cv2.putText(area, name, (right + 10, top + 14 * number + 8), font, 0.4, colour, 1, cv2.LINE_AA)


def main() -> int:
    """`python -m tests.faults.soak --minutes 60 --out out`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out"))
    said = parser.parse_args()
    said.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        stage = Stage(Path(folder))
        soak = Soak(stage, said.seed)
        try:
            soak.run(said.minutes * 60)
        finally:
            stage.close()
    write_csv(soak.series, said.out / "soak.csv")
    draw(soak.series, said.out / "soak.png")
    warm_s = min(_WARM_UP * said.minutes * 60, _WARM_UP_S)
    for name, one in soak.series.items():
        last, slope = one.values[-1], one.slope_an_hour(warm_s)
        sys.stdout.write(f"{name:32} {last:9.1f} {one.unit:3} {slope:+9.2f} an hour\n")
    found = faults(soak.series, said.minutes * 60)
    sys.stdout.write(f"{soak.files} files; {'; '.join(found) or 'nothing grew'}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
