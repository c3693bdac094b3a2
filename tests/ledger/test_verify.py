"""Every kind of damage is found and named, with its file and line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import Files, deployment, edit, made, promotion, reading, segments

from mlgate.ledger import chain, kinds
from mlgate.ledger.building import Ends
from mlgate.ledger.chain import Head
from mlgate.ledger.kinds import Entry
from mlgate.ledger.lines import Damage
from mlgate.ledger.verify import examine


def at(month: int, day: int = 1) -> str:
    return f"2026-{month:02d}-{day:02d}T12:00:00Z"


@pytest.fixture(scope="module")
def files() -> Files:
    """Three months: 1 + 3 + 4 + 4 events, and 6 readings."""
    return made(
        [promotion(n, at="2026-09-21T14:13:20Z") for n in range(3)],
        [promotion(n, at=at(10)) for n in range(4)],
        [reading(n, at=at(10, 2)) for n in range(6)],
        [promotion(n, at=at(11)) for n in range(4)],
    )


def heads(files: Files) -> dict[str, Head]:
    return {head.chain: head for head in examine(files).heads}


def kinds_of(files: Files, **more: Any) -> list[str]:
    return sorted(damage.kind for damage in examine(files, **more).damages)


def only(files: Files, **more: Any) -> Damage:
    report = examine(files, **more)
    assert len(report.damages) == 1, [str(each) for each in report.damages]
    return report.damages[0]


def forged(line: bytes, **change: Any) -> bytes:
    """A line with its entry changed, and a hash that is right for it."""
    value = json.loads(line)
    links = {key: change.pop(key) for key in ("seq", "previous", "ledger", "chain") if key in change}
    value = {**value, **links, "entry": {**value["entry"], **change}}
    return chain.canonical({**value, "hash": chain.digest(value)}) + b"\n"


def test_a_whole_ledger_is_whole(files: Files) -> None:
    report = examine(files)
    assert report.damages == ()
    assert report.notes == ()
    assert [head.seq for head in report.heads] == [12, 6]
    assert report.segments == 4
    assert report.repository == "github.com/o/visits"


def test_a_flipped_byte(files: Files) -> None:
    path = segments(files)[1]
    damaged = edit(files, path, lambda rows: rows.__setitem__(2, rows[2].replace(b"production", b"producti0n")))
    damage = only(damaged)
    assert (damage.kind, damage.file, damage.line) == ("changed", path, 3)
    assert "does not have the hash that it states" in damage.said


def test_every_single_flipped_bit_is_found() -> None:
    files = made([promotion(1, at="2026-09-21T14:13:20Z"), reading(at="2026-09-21T14:13:20Z")])
    for path in (*segments(files), *segments(files, "readings")):
        data = files[path]
        for place in range(0, len(data), 7):
            changed = bytes([*data[:place], data[place] ^ (1 << place % 8), *data[place + 1 :]])
            line = data[:place].count(b"\n") + 1
            damages = examine({**files, path: changed}).damages
            assert damages, (path, place)
            assert any(each.file == path and each.line in (line, line + 1) for each in damages), (place, damages)


def test_a_dropped_line(files: Files) -> None:
    path = segments(files)[1]
    damage = only(edit(files, path, lambda rows: rows.pop(1)))
    assert (damage.kind, damage.file, damage.line) == ("dropped", path, 2)
    assert damage.said == "entry 6 is missing before it."


def test_the_first_line_of_a_segment_dropped(files: Files) -> None:
    path = segments(files)[2]
    damage = only(edit(files, path, lambda rows: rows.__delitem__(slice(0, 2))))
    assert (damage.kind, damage.file, damage.line) == ("dropped", path, 1)
    assert damage.said == "entries 9 to 10 are missing before it."


def test_a_line_forged_in_place(files: Files) -> None:
    path = segments(files)[1]
    damaged = edit(files, path, lambda rows: rows.__setitem__(1, forged(rows[1], actor="eve")))
    damage = only(damaged)
    assert (damage.kind, damage.file, damage.line) == ("forged", path, 2)


def test_a_line_forged_at_the_end(files: Files) -> None:
    path = segments(files)[2]
    damaged = edit(files, path, lambda rows: rows.__setitem__(3, forged(rows[3], actor="eve")))
    assert kinds_of(damaged) == ["rewritten"]  # ledger.json names another one
    appended = edit(files, path, lambda rows: rows.append(forged(rows[3], seq=13, id="e" * 32, actor="eve")))
    assert kinds_of(appended) == ["forged", "index"]


def test_a_line_put_in(files: Files) -> None:
    path = segments(files)[1]
    damaged = edit(files, path, lambda rows: rows.insert(2, forged(rows[1], id="e" * 32, actor="eve")))
    report = examine(damaged)
    assert "forged" in {each.kind for each in report.damages}
    assert any("there are two entries 6" in each.said for each in report.damages)


def test_lines_out_of_order(files: Files) -> None:
    path = segments(files)[1]

    def swap(rows: list[bytes]) -> None:
        rows[1], rows[2] = rows[2], rows[1]

    damage = only(edit(files, path, swap))
    assert (damage.kind, damage.file, damage.line) == ("reordered", path, 3)
    assert damage.said == "entry 6 stands after entry 7."


def test_a_line_twice(files: Files) -> None:
    path = segments(files)[1]
    damage = only(edit(files, path, lambda rows: rows.insert(2, rows[1])))
    assert (damage.kind, damage.file, damage.line) == ("repeated", path, 3)


def test_one_append_written_twice(files: Files) -> None:
    entry = promotion(1, at="2026-09-21T14:13:20Z")
    damage = only(made([entry], [entry]))
    assert (damage.kind, damage.line) == ("repeated", 3)


def test_a_tail_cut_off(files: Files) -> None:
    path = segments(files)[2]
    damaged = edit(files, path, lambda rows: rows.__delitem__(slice(2, 4)))
    damage = only(damaged)
    assert (damage.kind, damage.file, damage.line) == ("truncated", path, 2)
    assert "the events end at entry 10" in damage.said


def test_a_tail_cut_off_with_the_index_made_to_fit(files: Files) -> None:
    """What is left is whole in itself: the readings tell it, or a head that was kept elsewhere."""
    kept = heads(files)
    path = segments(files)[1]
    damaged = edit(files, path, lambda rows: rows.pop())
    del damaged[segments(files)[2]]
    last = json.loads(damaged[path].splitlines()[-1])
    index = json.loads(files["ledger.json"])
    index["heads"]["events"] = {"seq": last["seq"], "hash": last["hash"]}
    damaged["ledger.json"] = json.dumps(index).encode()
    damage = only(damaged)
    assert damage.kind == "truncated"
    assert "readings-00000001.jsonl:1 says that they had reached 8" in damage.said
    without = {p: d for p, d in damaged.items() if "readings" not in p}
    del index["heads"]["readings"]
    without["ledger.json"] = json.dumps(index).encode()
    assert examine(without).whole  # nothing in the branch can tell
    assert kinds_of(without, against=[kept["events"]]) == ["truncated"]
    assert kinds_of(without, against=[kept["readings"]]) == ["truncated"]


def test_a_full_rewrite_is_found_by_a_head_kept_elsewhere(files: Files) -> None:
    kept = heads(files)["events"]
    again = made([promotion(n + 50, at="2026-09-21T14:13:20Z") for n in range(20)])
    assert examine(again).whole
    assert kinds_of(again, against=[kept]) == ["another ledger"]
    # Even with the same id: the entry of the head is not there.
    old = kept.ledger.encode()
    new = heads(again)["events"].ledger
    ends: Ends | None = None
    rewritten: Files = {}
    for path in segments(again):
        for line in again[path].splitlines():
            entry = kinds.parse({**json.loads(line)["entry"]})
            if isinstance(entry, kinds.Genesis):
                entry = entry.model_copy(update={"ledger": kept.ledger})
            head = (ends.heads if ends else {}).get("events")
            data, last = chain.seal(
                entry, ledger=kept.ledger, chain="events", seq=head.seq + 1 if head else 1,
                previous=head.hash if head else "",
            )  # fmt: skip
            rewritten[path] = rewritten.get(path, b"") + data
            ends = Ends(kept.ledger, "", {"events": last}, {})
    index = json.loads(again["ledger.json"].replace(new.encode(), old))
    assert ends is not None
    index["heads"]["events"] = {"seq": ends.heads["events"].seq, "hash": ends.heads["events"].hash}
    rewritten["ledger.json"] = json.dumps(index).encode()
    assert examine(rewritten).whole
    damage = only(rewritten, against=[kept])
    assert (damage.kind, damage.file, damage.line) == ("rewritten", segments(again)[0], 12)


def test_a_missing_segment(files: Files) -> None:
    first, middle, last = segments(files)
    damages = {path: only({p: d for p, d in files.items() if p != path}) for path in (first, middle)}
    assert [damages[p].kind for p in (first, middle)] == ["missing segment"] * 2
    assert damages[first].said == "entries 1 to 4 are missing: the chain begins here."
    assert (damages[middle].file, damages[middle].said) == (
        last, f"entries 5 to 8 are missing between {first} and this one.",
    )  # fmt: skip
    assert kinds_of({p: d for p, d in files.items() if p != last}) == ["truncated"]
    readings = segments(files, "readings")[0]
    assert set(kinds_of({p: d for p, d in files.items() if p != readings})) == {"truncated"}


def test_a_line_that_breaks_off(files: Files) -> None:
    path = segments(files)[2]
    report = examine({**files, path: files[path][:-40]})
    assert [(d.kind, d.file, d.line) for d in report.damages] == [("truncated", path, 4)]
    assert only({**files, path: files[path][:-1]}).said == "its end of line is missing."


def test_what_does_not_follow_its_schema(files: Files) -> None:
    path = segments(files)[2]
    for change, said in (
        ({"environment": ""}, "a promotion that does not follow its schema: environment"),
        ({"extra": 1}, "extra: Extra inputs are not permitted"),
        ({"kind": "coronation"}, "kind 'coronation' of schema 1 is not known here"),
        ({"schema": 2}, "Was it written by a newer mlgate?"),
        ({"at": "2026-13-01T00:00:00Z"}, "at: "),
    ):
        damaged = edit(files, path, lambda rows, c=change: rows.__setitem__(3, forged(rows[3], **c)))  # type: ignore[misc]
        found = [d for d in examine(damaged).damages if d.kind == "schema"]
        assert [(d.file, d.line) for d in found] == [(path, 4)]
        assert said in found[0].said


def test_entries_of_another_ledger_or_chain(files: Files) -> None:
    path = segments(files)[2]
    other = edit(files, path, lambda rows: rows.__setitem__(3, forged(rows[3], ledger="f" * 32)))
    assert "another ledger" in kinds_of(other)
    moved = edit(
        files, path, lambda rows: rows.__setitem__(3, files[segments(files, "readings")[0]].splitlines(True)[3])
    )
    assert "forged" in kinds_of(moved)


def test_files_that_do_not_belong_there_and_an_index_that_lies(files: Files) -> None:
    assert only({**files, "2026-10/notes.txt": b"x"}).kind == "foreign file"
    assert only({p: d for p, d in files.items() if p != "ledger.json"}).said == "it is missing."
    assert only({**files, "ledger.json": b"[]"}).said == "it cannot be read."
    index = json.loads(files["ledger.json"])
    assert (
        only({**files, "ledger.json": json.dumps({**index, "repository": "github.com/eve/x"}).encode()}).kind == "index"
    )


def test_one_chain_can_be_verified_alone(files: Files) -> None:
    events = {p: d for p, d in files.items() if "readings" not in p}
    report = examine(events, chains=["events"], listed=files)
    assert report.whole
    assert {record.chain for record in report.records} == {"events"}
    last = {p: d for p, d in events.items() if p == "ledger.json" or p.startswith("2026-11")}
    assert examine(last, chains=["events"], partial=True).whole


# -- properties ------------------------------------------------------------------------------------------------------

some_entries = st.lists(
    st.builds(
        lambda n, text, month, kind: (promotion, deployment, reading)[kind](
            **({"value": n} if kind == 2 else {"n": n}), actor=text, at=at(month)
        ),
        st.integers(0, 5),
        st.text(st.characters(categories=("L", "N", "P", "S")), max_size=8),
        st.integers(1, 9),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=5,
)


@given(st.lists(some_entries, min_size=1, max_size=5))
@settings(max_examples=40)
def test_whatever_is_appended_is_whole_and_read_back(appends: list[list[Entry]]) -> None:
    report = examine(made(*appends))
    assert report.damages == ()
    for name in ("events", "readings"):
        read = [r.entry for r in report.records if r.chain == name and r.entry.kind != "genesis"]
        assert read == [e for each in appends for e in each if chain.chain_of(e.kind) == name]


@given(st.lists(some_entries, min_size=2, max_size=5), st.data())
@settings(max_examples=150)
def test_no_damage_goes_unseen(appends: list[list[Entry]], data: st.DataObject) -> None:
    """One change of bytes, lines or files anywhere, with everything else as it was: always found, never a crash."""
    files = made(*appends)
    paths = [*segments(files), *segments(files, "readings")]
    path = data.draw(st.sampled_from(paths))
    rows = files[path].splitlines(keepends=True)
    how = data.draw(st.sampled_from(["byte", "insert", "drop", "swap", "repeat", "cut", "remove", "forge"]))
    place = data.draw(st.integers(0, len(rows) - 1))
    if how == "byte":
        where = data.draw(st.integers(0, len(files[path]) - 1))
        value = data.draw(st.integers(0, 255).filter(lambda v: v != files[path][where]))
        damaged = {**files, path: files[path][:where] + bytes([value]) + files[path][where + 1 :]}
    elif how == "insert":
        where = data.draw(st.integers(0, len(files[path])))
        damaged = {
            **files,
            path: files[path][:where] + data.draw(st.binary(min_size=1, max_size=3)) + files[path][where:],
        }
    elif how == "cut":
        damaged = {**files, path: files[path][: data.draw(st.integers(0, len(files[path]) - 1))]}
    elif how == "remove":
        damaged = {p: d for p, d in files.items() if p != path}
    else:
        other = data.draw(st.integers(0, len(rows) - 1))
        if how == "drop":
            del rows[place]
        elif how == "repeat":
            rows.insert(other, rows[place])
        elif how == "forge":
            rows[place] = forged(rows[place], actor="eve the forger")
        else:
            rows[place], rows[other] = rows[other], rows[place]
        damaged = {**files, path: b"".join(rows)}
    if damaged != files:
        damages = examine(damaged).damages
        assert damages
        assert all(each.kind and each.said and (each.file or each.kind == "truncated") for each in damages)


_TEXTS = st.text(max_size=12) | st.sampled_from(
    ['","hash":"', ',"hash":"0"', "\\", '"', '\\","hash":"x', '{"hash":"a"}']
)
_VALUES = st.recursive(
    _TEXTS | st.integers() | st.none(),
    lambda inner: st.dictionaries(_TEXTS | st.just("hash"), inner) | st.lists(inner),
    max_leaves=6,
)


@given(
    _VALUES,
    st.dictionaries(
        st.sampled_from(["beside", "chain", "ledger", "previous", "seq", "waited"]), _TEXTS | st.integers()
    ),
)
def test_a_line_s_hash_is_that_of_its_bytes_without_it(entry: Any, more: dict[str, Any]) -> None:
    line = {**more, "chain": "readings", "entry": entry, "hash": "0" * 64, "ledger": "1" * 32}
    assert chain.digest_of(chain.canonical(line)) == chain.digest(line)
