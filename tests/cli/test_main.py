"""The command line: its verbs, mistakes and exit codes."""

import pytest
from typer.main import get_command

from e2analytics.cli import main
from tests.cli.command_line import call

COMMANDS = set(get_command(main.app).commands)  # type: ignore[attr-defined]
VERBS = {
    "run", "ingest", "fit", "flag", "report", "export", "inspect", "crosswalk", "returns", "status",
    "init", "limits", "simulate", "schemas", "store", "worklist",
}  # fmt: skip


def test_these_are_the_verbs():
    assert VERBS <= COMMANDS


@pytest.mark.parametrize("verb", sorted(COMMANDS))
def test_every_verb_has_help(capsys: pytest.CaptureFixture[str], verb: str):
    code, out, _ = call(capsys, verb, "--help")

    assert code == 0
    assert "Usage: e2analytics" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "--drop", "/nowhere"], 10, "There is no folder /nowhere"),
        (["run"], 2, "--drop"),
        (["run", "--drop", ".", "--as-of", "yesterday"], 2, "YYYY-MM-DD"),
        (["simulate", "x", "--patients", "3"], 2, "patients must lie in"),
        (["status", "--store", "/nowhere"], 13, "There is no store at /nowhere"),
        (["flag", "--store", "/nowhere"], 13, "There is no store at /nowhere"),
        (["export", "secrets", "-o", "x"], 2, "there is no table secrets"),
        (["report", "--month", "2026-13", "--out", "x"], 2, "is not a month"),
        (["run", "--drop", ".", "--config", "/nowhere.toml"], 10, "no configuration file"),
    ],
)
def test_a_mistake_has_its_exit_code_and_says_what_to_do(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
):
    got, out, err = call(capsys, *arguments)

    assert got == code
    assert message in " ".join((out + err).split())


@pytest.mark.parametrize("verb", ["export", "worklist"])
def test_what_reads_the_store_does_not_promise_to_judge_as_of_today(
    capsys: pytest.CaptureFixture[str], verb: str
):
    _, out, _ = call(capsys, verb, "--help")

    assert "newest run" in " ".join(out.split())
    assert "by default today" not in " ".join(out.split())


def test_an_unforeseen_error_is_exit_1_and_keeps_its_message_to_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, store: str
):
    def broken(*_: object) -> None:
        raise RuntimeError("SECRET")

    monkeypatch.setattr("e2analytics.cli.status_view.print_status", broken)

    code, out, err = call(capsys, "status", "--store", store)

    assert code == 1
    assert "RuntimeError at" in err
    assert "SECRET" not in out + err
