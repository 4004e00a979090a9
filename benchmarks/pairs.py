"""Blind pairs: sheets for judges who know neither project nor method, and the count of their votes.

`python -m benchmarks.pairs sheets OUT --match shipped:wave commit:474ef02:wave` writes OUT/*.png, OUT/questions.txt and
OUT.key.json; `… score KEY… --votes VOTES.csv… --judges "vision models"` counts; `… photos OUT` writes the photos for
painters that are no command of ours (folder:DIR). `benchmarks/pair_painters.py` lists the painters.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import pair_sheets, pair_votes
from benchmarks.judged_photos import SETS, dark
from benchmarks.pair_painters import painter_of, write_pictures
from benchmarks.style_measures import Pixels
from pipeline.errors import UsageError
from training.train import MATERIALS

RESULTS = Path("benchmarks/results")
# Nobody votes on the dark frames; benchmarks.complaints measures them.
_WRITTEN = {**SETS, "dark": dark}


def sheets(given: argparse.Namespace) -> None:
    """Write the sheets and the key."""
    if any(given.out.glob("*.png")):
        raise UsageError(f"{given.out} holds sheets already; name a new folder")
    matches = [
        pair_sheets.Match(painter_of(first, given.materials), painter_of(second, given.materials), photos)
        for first, second in given.match
        for photos in given.photos
    ]
    if given.thumbnails and any(None in (match.first.painting, match.second.painting) for match in matches):
        raise UsageError("--thumbnails needs a painting for both sides; a built-in style's is named as lite:7@FILE")
    pictures = {name: SETS[name](given.materials) for name in given.photos}
    if given.only:
        pictures = _only(pictures, given.only)
    key = pair_sheets.draw_up(matches, {name: list(found) for name, found in pictures.items()}, given.seed)
    path = pair_sheets.write(key, matches, pictures, given.out, thumbnails=given.thumbnails)
    print(f"{len(key.pairs)} sheets and questions.txt in {given.out}; the key is {path}")  # noqa: T201


def _only(pictures: dict[str, dict[str, Pixels]], wanted: Sequence[str]) -> dict[str, dict[str, Pixels]]:
    if unknown := set(wanted) - {photo for found in pictures.values() for photo in found}:
        there = ", ".join(photo for found in pictures.values() for photo in found)
        raise UsageError(f"no photo {', '.join(sorted(unknown))} in these sets; there are {there}")
    return {name: {photo: found[photo] for photo in found if photo in wanted} for name, found in pictures.items()}


def score(given: argparse.Namespace) -> None:
    """Print the table; with --out, write pairs.md and pairs.json as well."""
    keys = [pair_votes.read_key(path) for path in given.keys]
    votes = [vote for path in given.votes for vote in pair_votes.read_votes(path)]
    results = pair_votes.count(keys, votes)
    table = pair_votes.table(results)
    print(table)  # noqa: T201
    if alone := sum(each.alone for each in results if each.second.endswith(":*") and each.photos == "all"):
        print(f"{alone} pairs were seen by fewer than two judges", file=sys.stderr)  # noqa: T201
    if given.out:
        document = pair_votes.document(keys, votes, results, given.judges)
        given.out.mkdir(parents=True, exist_ok=True)
        note = f"\nJudges: {document['judges']['number']} ({given.judges}). Majority wins a pair, a tie counts half.\n"
        (given.out / "pairs.md").write_text(table + note, "utf-8")
        (given.out / "pairs.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")


def photos(given: argparse.Namespace) -> None:
    """Write the sets' photos as PNG files, under the names that folder:DIR looks for."""
    for name in given.photos:
        write_pictures(_WRITTEN[name](given.materials), given.out)


def main(words: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pairs", description=__doc__)
    parser.add_argument("--materials", type=Path, default=MATERIALS, help="folder that make materials filled")
    commands = parser.add_subparsers(required=True)
    writes = commands.add_parser("sheets", help="write unlabelled sheets and the key")
    writes.add_argument("out", type=Path, help="folder for the sheets; the key is written as OUT.key.json")
    writes.add_argument("--match", nargs=2, action="append", required=True, metavar=("FIRST", "SECOND"))
    writes.add_argument("--photos", nargs="+", choices=SETS, default=["choosing"], help="sets of photos")
    writes.add_argument("--only", nargs="+", default=[], metavar="PHOTO", help="of these sets, these photos only")
    writes.add_argument("--seed", type=int, default=1, help="decides sides and order")
    writes.add_argument("--thumbnails", action="store_true", help="show each side's own painting under it")
    writes.set_defaults(run=sheets)
    counts = commands.add_parser("score", help="count votes")
    counts.add_argument("keys", nargs="+", type=Path)
    counts.add_argument("--votes", nargs="+", type=Path, required=True, help="CSV: judge,pair,q1,q2[,whole_a,whole_b]")
    counts.add_argument("--judges", default="unknown", help="what kind the judges are, as it is published")
    counts.add_argument("--out", type=Path, help=f"folder for pairs.md and pairs.json, such as {RESULTS}")
    counts.set_defaults(run=score)
    writes_photos = commands.add_parser("photos", help="write the photos, for painters that are no command of ours")
    writes_photos.add_argument("out", type=Path)
    writes_photos.add_argument("--photos", nargs="+", choices=_WRITTEN, default=["choosing"])
    writes_photos.set_defaults(run=photos)
    given = parser.parse_args(words)
    try:
        given.run(given)
    except UsageError as error:
        print(f"pairs: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
