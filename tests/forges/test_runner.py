"""What the runner reads: outputs, summaries, annotations, groups, and text that must not be a command."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgate.errors import MlgateError
from mlgate.forges import Annotation, Forge, detect, quiet_commands

HOSTILE = [
    "a\n::set-output name=verdict::pass",
    "a\r::error::x",
    "a%0A::warning::x",
    "##[set-output name=x]y",
    "text ##[add-path]/tmp",
    "::stop-commands::x",
    " \t::add-mask::a",
    "\u2003::save-state name=x::y",
    "\x1b[31m::error::x",
    "a,b:c;d]e",
    "a\u2028::error::x",
]


def commands(log: str) -> list[str]:
    """What the runner's parser finds (actions/runner, ActionCommand.cs): `::` after any space, `##[` anywhere."""
    found = []
    for line in re.split(r"\r\n|\r|\n", log):
        text = line.lstrip()
        if text.startswith("::") and "::" in text[2:]:
            found.append(text[2:].split("::")[0].split(" ")[0])
        elif (start := line.find("##[")) >= 0 and "]" in line[start:]:
            found.append(line[start + 3 :].split("]")[0].split(" ")[0])
    return found


def github(**environ: str) -> Forge:
    forge = detect({"GITHUB_ACTIONS": "true"} | environ)
    forge.out = io.StringIO()
    return forge


def printed(forge: Forge) -> str:
    assert isinstance(forge.out, io.StringIO)
    return forge.out.getvalue()


# -- annotations


def test_an_annotation_names_file_line_and_title() -> None:
    forge = github()
    forge.annotate([Annotation("error", "auc fell", "auc", "metrics/eval.json", 3)])
    assert printed(forge) == "::error file=metrics/eval.json,line=3,title=auc::auc fell\n"


def test_an_annotation_of_nothing_but_a_message() -> None:
    forge = github()
    forge.annotate([Annotation("notice", "hello", line=3)])
    assert printed(forge) == "::notice::hello\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_an_annotation_forges_a_command(text: str) -> None:
    forge = github()
    forge.annotate([Annotation("warning", text, text, text, 1)])
    log = printed(forge)
    assert log.count("\n") == 1
    assert commands(log) == ["warning"]
    properties = log.removeprefix("::warning ").split("::")[0]
    assert [pair.split("=")[0] for pair in properties.split(",")] == ["file", "line", "title"]


@given(st.text(), st.text(), st.text())
def test_any_text_makes_one_command_on_one_line(message: str, title: str, file: str) -> None:
    forge = github()
    forge.annotate([Annotation("error", message, title, file)])
    assert commands(printed(forge)) == ["error"]
    assert len(printed(forge).splitlines()) == 1


def test_ten_of_a_level_are_shown_and_the_rest_counted() -> None:
    forge = github()
    notes = [Annotation("error", f"e{n}") for n in range(25)] + [Annotation("warning", f"w{n}") for n in range(10)]
    forge.annotate(notes)
    lines = printed(forge).splitlines()
    assert len(lines) == 20  # what GitHub shows: ten of each
    assert lines[9] == "::error::16 more errors are in the job summary and in the report."
    assert lines[19] == "::warning::w9"


def test_a_long_message_is_cut() -> None:
    forge = github()
    forge.annotate([Annotation("error", "x" * 100_000)])
    assert len(printed(forge)) < 5_000


def test_gitlab_and_terminals_print_no_annotations() -> None:
    for environ in ({"GITLAB_CI": "true"}, {}):
        forge = detect(environ)
        forge.out = io.StringIO()
        forge.annotate([Annotation("error", "x")])
        assert printed(forge) == ""


# -- text of others


@pytest.mark.parametrize("text", HOSTILE)
def test_quiet_text_holds_no_command(text: str) -> None:
    assert commands(quiet_commands(text)) == []


@given(st.lists(st.sampled_from(["::", ":", "##[", "##", "[", "]", "error", " ", "\t", "\r", "\n", "\x1b[0m", "x"])))
def test_no_mixture_of_marks_is_a_command(parts: list[str]) -> None:
    assert commands(quiet_commands("".join(parts))) == []


@given(st.text())
def test_quiet_text_differs_by_spaces_only(text: str) -> None:
    assert quiet_commands(text).replace(" ", "") == text.replace(" ", "")


def test_ordinary_text_is_untouched() -> None:
    text = "auc  0.70 -> 0.72 (C:\\x::y) std::vector # 1 [x]\n  fail  log_loss: worse\n"
    assert quiet_commands(text) == text


def test_quieting_takes_no_time() -> None:
    for text in ("\n" * 200_000, " " * 200_000, " \n" * 100_000 + ":", "::" * 100_000, "##" * 100_000):
        assert len(quiet_commands(text)) <= len(text) + 2


def test_sections_of_gitlab_are_disarmed() -> None:
    text = "\x1b[0Ksection_start:1700000000:evil[collapsed=true]\r\x1b[0Khidden"
    assert "section_start:" not in quiet_commands(text)


# -- groups


def test_groups() -> None:
    forge = github()
    with pytest.raises(ZeroDivisionError), forge.group("train\n::error::x"):
        _ = 1 / 0
    assert printed(forge) == "::group::train ::error::x\n::endgroup::\n"


def test_groups_on_gitlab() -> None:
    forge = detect({"GITLAB_CI": "true"})
    forge.out = io.StringIO()
    with forge.group("Train: a\r\x1b[0Ksection_end:1:mlgate_x"):
        pass
    start, end, _ = printed(forge).split("\n")
    name = re.fullmatch(r"\x1b\[0Ksection_start:\d+:([a-z0-9_]+)\[collapsed=true\]\r\x1b\[0K(.*)", start)
    assert name is not None
    assert re.fullmatch(rf"\x1b\[0Ksection_end:\d+:{name[1]}\r\x1b\[0K", end)
    assert "section_end:" not in name[2]


# -- outputs


def parse(text: str) -> dict[str, str]:
    """As the runner does: name<<end, lines, end."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        name, end = line.split("<<", 1)
        value = []
        for more in lines:
            if more == end:
                break
            value.append(more)
        found[name] = "\n".join(value)
    return found


def test_outputs(tmp_path: Path) -> None:
    outputs = {
        "verdict": "fail",
        "failed-rules": '["auc"]',
        "report": "a\nEOF\nverdict=pass\nverdict<<EOF\npass\nEOF",
        "x": "",
    }
    forge = github(GITHUB_OUTPUT=str(tmp_path / "out"))
    forge.set_outputs(outputs)
    assert parse((tmp_path / "out").read_text("utf-8")) == outputs


def test_no_two_ends_are_the_same(tmp_path: Path) -> None:
    forge = github(GITHUB_OUTPUT=str(tmp_path / "out"))
    forge.set_outputs({"a": "1", "b": "2"})
    forge.set_outputs({"c": "3"})
    ends = re.findall(r"<<(.+)", (tmp_path / "out").read_text("utf-8"))
    assert len(set(ends)) == 3
    assert all(len(end) > 32 for end in ends)


def test_outputs_that_cannot_be_written_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MlgateError, match="GITHUB_OUTPUT cannot be written"):
        github(GITHUB_OUTPUT=str(tmp_path / "no" / "out")).set_outputs({"a": "b"})


def test_a_full_disk_is_one_sentence() -> None:
    with pytest.raises(MlgateError, match="No space left on device"):
        github(GITHUB_OUTPUT="/dev/full").set_outputs({"a": "b"})
    with pytest.raises(MlgateError, match="No space left on device"):
        github(GITHUB_STEP_SUMMARY="/dev/full").add_summary("x")


def test_where_there_is_no_file_there_is_nothing_to_do() -> None:
    for environ in ({"GITHUB_ACTIONS": "true"}, {"GITLAB_CI": "true"}, {}):
        detect(environ).set_outputs({"a": "b"})
        detect(environ).add_summary("x")


# -- the summary


def test_summaries_follow_one_another(tmp_path: Path) -> None:
    forge = github(GITHUB_STEP_SUMMARY=str(tmp_path / "sum"))
    forge.add_summary("# one\n")
    forge.add_summary("# two")
    assert (tmp_path / "sum").read_text("utf-8") == "# one\n\n# two\n\n"


def test_the_summary_of_a_step_stays_below_a_mebibyte(tmp_path: Path) -> None:
    file = tmp_path / "sum"
    forge = github(GITHUB_STEP_SUMMARY=str(file))
    for _ in range(3):
        forge.add_summary("| é | ü |\n" * 60_000)
    text = file.read_bytes()
    assert 1_000_000 < len(text) < 1 << 20
    assert "more lines do not fit here" in text.decode("utf-8")[-400:]


def test_names_from_a_broken_file_system_do_not_break_the_summary(tmp_path: Path) -> None:
    github(GITHUB_STEP_SUMMARY=str(tmp_path / "sum")).add_summary("bad \udcff name")
    assert (tmp_path / "sum").read_text("utf-8") == "bad ? name\n\n"
