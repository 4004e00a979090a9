"""Blind pairs: sheets that give nothing away, votes that are counted by majority, bad words refused in one line."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import judged_photos, pairs
from benchmarks.pair_painters import painter_of, write_pictures
from benchmarks.pair_sheets import Key, Match, Pair, draw_up, sheet
from benchmarks.pair_votes import Vote, count, kind_of, read_votes
from benchmarks.style_measures import Pixels
from pipeline.errors import UsageError
from training.download import HELD_OUT

WHITE = 255


def _flat(value: int) -> Pixels:
    return np.full((480, 640, 3), value, np.uint8)


def _photos(folder: Path) -> Path:
    held_out = folder / "photos" / "held-out"
    held_out.mkdir(parents=True)
    for number, name in enumerate(judged_photos.CHOOSING):
        cv2.imwrite(str(held_out / f"data-{name}.jpg"), _flat(20 + 10 * number))
    return folder


def _folder(folder: Path, value: int) -> str:
    write_pictures({name: _flat(value) for name in judged_photos.CHOOSING}, folder)
    return f"folder:{folder}"


def _votes(path: Path, *lines: str) -> Path:
    path.write_text("judge,pair,q1,q2\n" + "\n".join(lines) + "\n")
    return path


def test_choosing_and_verdict_share_no_photo_and_are_all_held_out() -> None:
    assert len(judged_photos.CHOOSING) == 8
    assert len(judged_photos.VERDICT) == 12
    assert set(judged_photos.CHOOSING) | set(judged_photos.VERDICT) == HELD_OUT
    assert sum(map(len, judged_photos.FILM_FRAMES.values())) == 10


def test_the_key_says_which_side_each_painter_is_on(tmp_path: Path) -> None:
    dark, light = _folder(tmp_path / "dark", 40), _folder(tmp_path / "light", 200)
    sheets = tmp_path / "sheets"
    pairs.main(["--materials", str(_photos(tmp_path)), "sheets", str(sheets), "--match", dark, light])
    key = json.loads((tmp_path / "sheets.key.json").read_text())
    assert {pair["a"] for pair in key["pairs"]} == {dark, light}
    for pair in key["pairs"]:
        lower = cv2.imread(str(sheets / f"{pair['id']}.png"))[560:1000]
        sides = {"a": lower[:, 40:600].mean(), "b": lower[:, 700:1240].mean()}
        assert [side for side in sides if sides[side] < 100] == [side for side in "ab" if pair[side] == dark]


def test_nothing_beside_the_key_names_a_painter(tmp_path: Path) -> None:
    dark, light = _folder(tmp_path / "dark", 40), _folder(tmp_path / "light", 200)
    sheets = tmp_path / "sheets"
    pairs.main(["--materials", str(_photos(tmp_path)), "sheets", str(sheets), "--match", dark, light])
    seen = (sheets / "questions.txt").read_text() + " ".join(path.name for path in sheets.iterdir())
    assert not any(word in seen for word in ("dark", "light", "folder", "astronaut"))
    assert len(list(sheets.glob("*.png"))) == len(judged_photos.CHOOSING)


def test_the_same_seed_gives_the_same_key_and_another_seed_other_sides(tmp_path: Path) -> None:
    first, second = (painter_of(_folder(tmp_path / name, 9), tmp_path) for name in ("a", "b"))
    match = [Match(first, second, "choosing")]
    photos = {"choosing": judged_photos.CHOOSING}
    assert draw_up(match, photos, 1) == draw_up(match, photos, 1)
    assert [pair.a for pair in draw_up(match, photos, 1).pairs] != [pair.a for pair in draw_up(match, photos, 2).pairs]


def test_both_results_are_shown_at_one_size() -> None:
    shown = sheet(_flat(1), _flat(40), _flat(200))
    # Of the labels' soft edges a pixel or two is as dark.
    assert [(shown == value).all(-1).sum() for value in (40, 200)] == pytest.approx([640 * 480] * 2, abs=50)


def test_a_painting_of_one_side_alone_is_not_shown(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "painting.png"), _flat(120))
    dark = _folder(tmp_path / "dark", 40) + f":{tmp_path / 'painting.png'}"
    light = _folder(tmp_path / "light", 200)
    command = ["--materials", str(_photos(tmp_path)), "sheets"]
    pairs.main([*command, str(tmp_path / "one"), "--match", dark, light, "--only", "horse"])
    pairs.main([*command, str(tmp_path / "both"), "--match", dark, dark, "--only", "horse"])
    one, both = (cv2.imread(str(next((tmp_path / name).glob("*.png")))) for name in ("one", "both"))
    assert [(seen == 120).all(-1).sum() for seen in (one, both)] == pytest.approx([0, 640 * 480], abs=50)


def _key(*sides: str) -> Key:
    """Pairs p0, p1 … of ours:x against theirs:x; sides says where ours is."""
    both = {"a": ("lite:1", "shipped:wave"), "b": ("shipped:wave", "lite:1")}
    return Key(
        1, tuple(Pair(f"p{n}", "horse", "choosing", "lite:1", "shipped:wave", *both[s]) for n, s in enumerate(sides))
    )


def test_a_majority_wins_a_pair_and_a_tie_counts_half() -> None:
    votes = [Vote(f"j{judge}", "p0", side, "A") for judge, side in enumerate("AAB")]
    votes += [Vote(f"j{judge}", "p1", side, "A") for judge, side in enumerate("AB")]
    (result,) = (each for each in count([_key("a", "b")], votes) if each.first == "lite:1")
    assert (result.pairs, result.votes, result.alone) == (2, 5, 0)
    # p0 is won 2 to 1, p1 is a tie; in q2 everybody chose A, which is the first painter in p0 alone.
    assert result.q1 == pytest.approx(0.75)
    assert result.q2 == pytest.approx(0.5)


def test_whole_faces_are_counted_for_the_side_they_are_on() -> None:
    votes = [Vote("j", "p0", "A", "A", True, False), Vote("j", "p1", "A", "A", True, False)]
    (result,) = (each for each in count([_key("a", "a")], votes) if each.first == "lite:1")
    assert (result.whole, result.whole_second) == (1.0, 0.0)


def test_pairs_without_votes_do_not_count() -> None:
    (result,) = (each for each in count([_key("a", "a")], [Vote("j", "p0", "A", "B")]) if each.first == "lite:1")
    assert (result.pairs, result.alone, result.q1, result.q2) == (1, 1, 1.0, 0.0)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("lite:7", "lite"),
        ("lite-of:wave", "lite-of"),
        ("shipped:wave", "shipped"),
        ("commit:474ef02:wave", "commit:474ef02"),
        ("weights:out/a:wave", "weights:out/a"),
        ("folder:out/a:wave", "folder:out/a"),
        ("folder:out/a", "folder:out/a"),
    ],
)
def test_a_kind_of_painter_is_its_word_without_the_style(word: str, kind: str) -> None:
    assert kind_of(word) == kind


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["j,p0,A,C"], "line 2: q1 and q2 are A or B"),
        (["j,p9,A,B"], "'p9', which is in no key"),
        (["j,p0,A,B", "j,p0,B,B"], "j voted twice on p0"),
        ([",p0,A,B"], "line 2: no judge"),
        (["j,p0,A"], "q1 and q2 are A or B"),
    ],
    ids=["a third side", "an unknown pair", "a second vote", "no judge", "a short line"],
)
def test_a_vote_that_cannot_be_counted_is_refused(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        count([_key("a")], read_votes(_votes(tmp_path / "votes.csv", *lines)))


def test_results_say_number_and_kind_of_the_judges(tmp_path: Path) -> None:
    dark, light = _folder(tmp_path / "dark", 40), _folder(tmp_path / "light", 200)
    pairs.main(["--materials", str(_photos(tmp_path)), "sheets", str(tmp_path / "s"), "--match", dark, light])
    key = json.loads((tmp_path / "s.key.json").read_text())
    votes = _votes(tmp_path / "v.csv", *(f"j{j},{pair['id']},A,B" for pair in key["pairs"] for j in (1, 2)))
    command = ["score", str(tmp_path / "s.key.json"), "--votes", str(votes), "--judges", "two painters"]
    pairs.main([*command, "--out", str(tmp_path / "out")])
    found = json.loads((tmp_path / "out" / "pairs.json").read_text())
    assert found["judges"] == {"number": 2, "kind": "two painters"}
    assert found["seeds"] == [1]
    assert len(found["votes"]) == 16
    assert "two painters" in (tmp_path / "out" / "pairs.md").read_text()


def test_a_photo_that_is_in_no_set_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dark = _folder(tmp_path / "dark", 40)
    command = ["--materials", str(_photos(tmp_path)), "sheets", str(tmp_path / "out"), "--match", dark, dark]
    with pytest.raises(SystemExit) as ended:
        pairs.main([*command, "--only", "horse", "unicorn"])
    assert ended.value.code == 2
    assert "no photo unicorn in these sets; there are astronaut" in capsys.readouterr().err
    (tmp_path / "dark" / "horse.png").unlink()
    with pytest.raises(SystemExit):
        pairs.main(command)
    assert "lacks horse.png" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--match", "nobody", "lite:1"], "no painter 'nobody'"),
        (["--match", "lite:26", "lite:1"], "built-in styles 0 to 25"),
        (["--match", "folder:nowhere", "lite:1"], "no folder nowhere"),
        (["--match", "weights:nowhere:wave", "lite:1"], "no exported style"),
        (["--match", "commit:474ef02", "lite:1"], "lacks a style"),
    ],
)
def test_a_wrong_command_ends_with_one_line_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        pairs.main(["sheets", str(tmp_path / "out"), *words])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "out").exists()
