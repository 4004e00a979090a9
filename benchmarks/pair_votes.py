"""Count the votes on blind pairs: a majority of judges decides each pair, a tie counts half for either side."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.pair_sheets import Key, Pair
from pipeline.errors import UsageError

_SIDES = {"a": "A", "b": "B"}
_WHOLE = {"yes": True, "no": False, "": None}
_ALL = "all"


@dataclass(frozen=True, slots=True)
class Vote:
    """What one judge said of one sheet: a side for each question; of a face, whether eyes and mouth are whole."""

    judge: str
    pair: str
    q1: str
    q2: str
    whole_a: bool | None = None
    whole_b: bool | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One painter against one opponent. `q1`, `q2`: share of pairs that the first won, 0 to 1.

    `alone`: pairs that fewer than two judges saw. `whole`: share of faces of the first (then of the second) that are
    whole, by majority; None where nobody was asked.
    """

    first: str
    second: str
    photos: str
    pairs: int
    votes: int
    alone: int
    q1: float
    q2: float
    whole: float | None
    whole_second: float | None


def read_key(path: Path) -> Key:
    """Read a key file. Raises UsageError."""
    try:
        document = json.loads(path.read_text("utf-8"))
        pairs = tuple(Pair(**pair) for pair in document["pairs"])
        return Key(document["seed"], pairs)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is no key that `pairs sheets` wrote: {error}") from error


def read_votes(path: Path) -> list[Vote]:
    """Read a CSV file of votes (judge,pair,q1,q2[,whole_a,whole_b]). Raises UsageError naming the line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, skipinitialspace=True)
            if missing := {"judge", "pair", "q1", "q2"} - set(rows.fieldnames or ()):
                raise UsageError(f"{path} lacks {', '.join(sorted(missing))}; its first line is judge,pair,q1,q2")
            return [_vote(row, f"{path}, line {rows.line_num}") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}") from error


def _vote(row: Mapping[str, str | None], where: str) -> Vote:
    said = {word: (value or "").strip() for word, value in row.items() if isinstance(word, str)}
    sides = [_SIDES.get(said[question].lower()) for question in ("q1", "q2")]
    if sides[0] is None or sides[1] is None:
        raise UsageError(f"{where}: q1 and q2 are A or B, not {said['q1']!r} and {said['q2']!r}")
    whole = [said.get(word, "").lower() for word in ("whole_a", "whole_b")]
    if any(word not in _WHOLE for word in whole):
        raise UsageError(f"{where}: whole_a and whole_b are yes, no or empty")
    if not said["judge"]:
        raise UsageError(f"{where}: no judge")
    return Vote(said["judge"], said["pair"], sides[0], sides[1], _WHOLE[whole[0]], _WHOLE[whole[1]])


def count(keys: Sequence[Key], votes: Iterable[Vote], *, by_style: bool = True) -> list[Result]:
    """Results of every match, then (`by_style`) of all matches between the same kinds of painter together.

    Raises UsageError for a vote on an unknown pair, and for two votes of one judge on one pair.
    """
    pairs = {pair.id: pair for key in keys for pair in key.pairs}
    cast: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        if vote.pair not in pairs:
            raise UsageError(f"judge {vote.judge} voted on {vote.pair!r}, which is in no key")
        if any(vote.judge == other.judge for other in cast[vote.pair]):
            raise UsageError(f"judge {vote.judge} voted twice on {vote.pair}")
        cast[vote.pair].append(vote)
    groups: dict[tuple[str, str, str], list[Pair]] = defaultdict(list)
    for pair in pairs.values():
        if pair.id in cast:
            for group in _groups(pair, by_style=by_style):
                groups[group].append(pair)
    return [_result(group, found, cast) for group, found in sorted(groups.items())]


def _groups(pair: Pair, *, by_style: bool) -> list[tuple[str, str, str]]:
    kinds = kind_of(pair.first), kind_of(pair.second)
    whole = [(f"{kinds[0]}:*", f"{kinds[1]}:*", _ALL), (f"{kinds[0]}:*", f"{kinds[1]}:*", pair.photos)]
    return [(pair.first, pair.second, _ALL), *whole] if by_style else whole


def kind_of(word: str) -> str:
    """A painter's word without its style: opponents of one kind are counted together."""
    kind, _, rest = word.partition(":")
    if kind in {"commit", "weights", "folder"} and ":" in rest:
        return f"{kind}:{rest.rpartition(':')[0]}"
    return word if kind == "folder" else kind


def _result(group: tuple[str, str, str], pairs: Sequence[Pair], cast: Mapping[str, Sequence[Vote]]) -> Result:
    wins = [[_share(pair, cast[pair.id], question) for pair in pairs] for question in ("q1", "q2")]
    votes = [len(cast[pair.id]) for pair in pairs]
    return Result(
        *group,
        pairs=len(pairs),
        votes=sum(votes),
        alone=sum(each < 2 for each in votes),
        q1=sum(wins[0]) / len(pairs),
        q2=sum(wins[1]) / len(pairs),
        whole=_whole(pairs, cast, of_first=True),
        whole_second=_whole(pairs, cast, of_first=False),
    )


def _share(pair: Pair, votes: Sequence[Vote], question: str) -> float:
    """1 if most judges chose the first painter, 0 if the second, 0.5 for a tie."""
    mine = "A" if pair.a == pair.first else "B"
    return _majority([getattr(vote, question) == mine for vote in votes])


def _majority(said: Sequence[bool]) -> float:
    yes = sum(said)
    return 0.5 if 2 * yes == len(said) else float(2 * yes > len(said))


def _whole(pairs: Sequence[Pair], cast: Mapping[str, Sequence[Vote]], *, of_first: bool) -> float | None:
    found = []
    for pair in pairs:
        is_a = (pair.a == pair.first) == of_first
        said = [vote.whole_a if is_a else vote.whole_b for vote in cast[pair.id]]
        if answers := [each for each in said if each is not None]:
            found.append(_majority(answers))
    return sum(found) / len(found) if found else None


def table(results: Iterable[Result]) -> str:
    """The results as Markdown."""
    heads = ["painter", "against", "photos", "pairs", "votes", "q1 more like a painting", "q2 which to keep"]
    heads += ["faces whole", "the other's"]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for each in results:
        cells = [each.first, each.second, each.photos, str(each.pairs), str(each.votes)]
        cells += [_percent(value) for value in (each.q1, each.q2, each.whole, each.whole_second)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def document(keys: Sequence[Key], votes: Sequence[Vote], results: Sequence[Result], kind: str) -> dict[str, Any]:
    """Everything for `pairs.json`: seeds, keys, each vote, number and kind of the judges."""
    return {
        "judges": {"number": len({vote.judge for vote in votes}), "kind": kind},
        "seeds": [key.seed for key in keys],
        "results": [asdict(each) for each in results],
        "keys": [asdict(key) for key in keys],
        "votes": [asdict(vote) for vote in votes],
    }
