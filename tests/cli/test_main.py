"""The command line: what it prints, and its exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.main import get_command

from e2analytics.cli import main
from e2analytics.cli.terminal import by_site
from e2analytics.reference.simulation_marker import MARKER_NAME
from e2analytics.simulate.exports import FORMATS
from e2analytics.store.store import Store, open_published

REPOSITORY = Path(__file__).parents[2]
KEY = "a key for the tests of the terminal"


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command line in process; return exit code, standard output, standard error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["e2analytics", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main.main()
    printed = capsys.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else 0), printed.out, printed.err


@pytest.fixture(scope="module")
def store(clinic: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store made by ingest and fit."""
    address = str(tmp_path_factory.mktemp("cli") / "store")
    for arguments in (
        ["ingest", str(clinic / "drop"), "--store", address, "--as-of", "2026-09-30"],
        ["fit", "--store", address, "--as-of", "2026-09-30"],
    ):
        command = [sys.executable, "-m", "e2analytics", *arguments]
        made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        assert made.returncode == 0, made.stderr
    return address


COMMANDS = set(get_command(main.app).commands)  # type: ignore[attr-defined]
VERBS = {
    "run", "ingest", "fit", "flag", "report", "export", "inspect", "crosswalk", "returns", "status",
    "limits", "simulate", "schemas", "worklist",
}  # fmt: skip


def test_these_are_the_verbs():
    assert VERBS <= COMMANDS


@pytest.mark.parametrize("verb", sorted(COMMANDS))
def test_every_verb_has_help(capsys: pytest.CaptureFixture[str], verb: str):
    code, out, _ = call(capsys, verb, "--help")

    assert code == 0
    assert "Usage: e2analytics" in out


def test_inspect_shows_a_hundred_rows_at_the_most(capsys: pytest.CaptureFixture[str]):
    code, _, err = call(capsys, "inspect", "labs.csv", "--show-values", "--rows", "101")

    assert code == 2
    assert "equal to 100" in " ".join(err.split())


def test_status_tells_runs_rows_limit_and_flags(capsys: pytest.CaptureFixture[str], store: str):
    code, out, _ = call(capsys, "status", "--store", store)

    assert code == 0
    assert "run-000002" in out
    assert "Limit in use:" in out
    assert "critical" in out


@pytest.mark.parametrize(
    ("format", "read"), [("csv", pl.read_csv), ("parquet", pl.read_parquet), ("json", pl.read_json)]
)
def test_export_writes_a_table(
    capsys: pytest.CaptureFixture[str], store: str, tmp_path: Path, format: str, read: object
):
    file = tmp_path / f"cohort.{format}"

    code, _, err = call(
        capsys, "export", "cohort", "--store", store, "--format", format, "-o", str(file)
    )

    assert code == 0
    assert callable(read)
    frame = read(file)
    assert f"{len(frame):,} rows of cohort, run-000002 as of 2026-09-30" in err
    assert {"patient_id", "status", "tier", "p_attributable"} <= set(frame.columns)


def test_report_writes_its_files_and_says_where(
    capsys: pytest.CaptureFixture[str], store: str, tmp_path: Path
):
    code, out, _ = call(
        capsys, "report", "--month", "2026-09", "--store", store, "--out", str(tmp_path)
    )

    assert code == 0
    file = tmp_path / "e2-report-2026-09-internal.html"
    assert all(str(file.with_suffix(suffix)) in out for suffix in (".html", ".pdf", ".xlsx"))
    assert "men to review" in out
    # Of all clinics and of each, inside and outside, in three forms.
    assert len(list(tmp_path.iterdir())) == 2 * 5 * 3
    # The first run of that day only took rows in; the report is that of the first that judged them.
    assert "run-000002" in file.read_text(encoding="utf-8")


def test_a_preview_shows_whose_status_would_change_and_publishes_nothing(
    capsys: pytest.CaptureFixture[str], store: str, monkeypatch: pytest.MonkeyPatch
):
    runs = len(Store(store).runs())
    code, same, _ = call(capsys, "flag", "--preview", "--store", store)
    assert (code, "0 would change" in same) == (0, True)

    monkeypatch.setenv("E2ANALYTICS_FLAG__PROBABILITY", "0.9")
    code, out, _ = call(capsys, "flag", "--preview", "--store", store)

    assert code == 0
    assert "nothing was published" in out
    cohort = Store(store).table("cohort", open_published(store)[1])
    low = cohort.filter(pl.col("status") == "below_range", pl.col("p_attributable") < 0.9)
    assert len(low)
    assert all(patient_id in out for patient_id in low["patient_id"])
    assert len(Store(store).runs()) == runs


def test_adopting_a_limit_can_be_looked_at_first(capsys: pytest.CaptureFixture[str], store: str):
    runs = len(Store(store).runs())

    code, out, _ = call(capsys, "limits", "adopt", "--preview", "--store", store)

    assert (code, "nothing was published" in out) == (0, True)
    assert len(Store(store).runs()) == runs


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_the_worklist_is_written(
    capsys: pytest.CaptureFixture[str], store: str, tmp_path: Path, ending: str
):
    file = tmp_path / f"list.{ending}"

    code, _, err = call(capsys, "worklist", "--store", store, "-o", str(file))

    assert (code, file.exists()) == (0, True)
    assert "men with an open flag" in err
    assert call(capsys, "worklist", "--store", store, "-o", str(tmp_path / "list.txt"))[0] == 2


def test_report_compares_with_a_run_or_a_month(capsys: pytest.CaptureFixture[str], store: str):
    code, out, _ = call(
        capsys, "report", "--month", "2026-09", "--store", store, "--compare", "run-000002"
    )
    assert (code, out.splitlines()[-1]) == (0, "Nothing differs.")

    code, _, err = call(
        capsys, "report", "--month", "2026-09", "--store", store, "--compare", "yesterday"
    )
    assert code == 14
    assert "neither a month, YYYY-MM, nor a run" in err

    code, _, err = call(capsys, "report", "--month", "2026-09", "--store", store)
    assert code == 2


def test_limits_are_shown_and_adopted_for_a_reason(capsys: pytest.CaptureFixture[str], store: str):
    code, out, _ = call(capsys, "limits", "show", "--store", store)
    assert code == 0
    assert "Limit in use: " in out
    assert "first supported fit" in out

    assert "To take the fitted limit into use: e2analytics limits adopt" in out

    code, _, _ = call(capsys, "limits", "adopt", "--reason", "  ", "--store", store)
    assert code == 2

    code, out, _ = call(
        capsys, "limits", "adopt", "--reason", "agreed", "--store", store, "--as-of", "2026-09-30"
    )
    assert code == 0
    assert "agreed" in out


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred men in every format, written by the command."""
    folder = tmp_path_factory.mktemp("simulated")
    asked = [word for name in FORMATS for word in ("--format", name)]
    command = [sys.executable, "-m", "e2analytics", "simulate", str(folder), *asked]
    made = subprocess.run([*command, "--patients", "100"], capture_output=True, check=False)  # noqa: S603
    assert made.returncode == 0, made.stderr
    return folder / "exports"


@pytest.mark.parametrize("name", FORMATS)
def test_what_simulate_writes_in_any_format_is_known_to_inspect(
    capsys: pytest.CaptureFixture[str], exports: Path, name: str
):
    entries = sorted((exports / name).iterdir())

    code, out, _ = call(capsys, "inspect", *map(str, entries))

    assert MARKER_NAME in {entry.name for entry in entries}
    assert (code, out.count("\n  Feed: ")) == (0, len(entries) - 1)


@pytest.mark.parametrize("name", ["european_csv", "hl7v2"])
def test_what_simulate_writes_in_a_format_is_read_by_ingest(
    capsys: pytest.CaptureFixture[str], exports: Path, tmp_path: Path, name: str
):
    drop, store = exports / name, str(tmp_path / "store")

    code, out, err = call(capsys, "ingest", str(drop), "--store", store, "--as-of", "2026-09-30")

    assert (code, "Not read" in err) == (0, False)
    assert f"Read {len(list(drop.iterdir())) - 1} file(s)" in out


def test_it_is_said_why_the_fitted_limit_cannot_be_adopted(
    capsys: pytest.CaptureFixture[str], store: str, tmp_path: Path
):
    config = tmp_path / "e2analytics.toml"
    config.write_text("[flag]\nleast_limit_pg_ml = 10\ngreatest_limit_pg_ml = 10.5\n")

    code, out, _ = call(capsys, "limits", "show", "--store", store, "--config", str(config))

    assert code == 0
    assert " ".join(out.split()).endswith(
        "There is no fitted limit to adopt: that of lumbar_spine is not supported or lies outside "
        "10-10.5 pg/mL."
    )


def test_simulate_writes_the_same_bytes_for_the_same_seed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    for folder in ("a", "b"):
        code, _, _ = call(
            capsys,
            "simulate",
            str(tmp_path / folder),
            "--patients",
            "120",
            "--shape",
            "u",
            "--seed",
            "3",
        )
        assert code == 0

    files = [
        path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()
    ]
    assert files
    assert all(
        (tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files
    )


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
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
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, told: str
):
    got, out, err = call(capsys, *arguments)

    assert got == code
    assert told in " ".join((out + err).split())


def test_real_files_need_a_key(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "patients.csv").write_text("patient_id,clinic_id,sex,birth_date\n")

    code, _, err = call(capsys, "ingest", str(tmp_path), "--store", str(tmp_path / "store"))

    assert code == 14
    assert "There is no key" in err


def test_a_prefect_server_that_is_not_there_is_said_so_before_anything_is_read(
    clinic: Path, tmp_path: Path
):
    nobody = {**os.environ, "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    command = [sys.executable, "-m", "e2analytics", "run", "--drop", str(clinic / "drop")]
    command += ["--store", str(tmp_path / "store")]

    done = subprocess.run(command, env=nobody, capture_output=True, text=True, check=False)  # noqa: S603

    assert done.returncode == 14
    assert "No Prefect server answers at the address in PREFECT_API_URL." in done.stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_a_run_that_a_scheduler_ends_publishes_nothing_and_blames_nobody(
    clinic: Path, tmp_path: Path
):
    store = tmp_path / "store"
    command = [sys.executable, "-m", "e2analytics", "run", "--drop", str(clinic / "drop")]
    command += ["--store", str(store), "--as-of", "2026-09-30"]
    own_server = {**os.environ, "PREFECT_HOME": str(tmp_path / "prefect")}
    own_server.pop("PREFECT_API_URL", None)

    with subprocess.Popen(command, env=own_server, stderr=subprocess.PIPE, text=True) as started:  # noqa: S603
        assert started.stderr is not None
        told = "".join(iter(started.stderr.readline, "Reading the drop ...\n"))
        started.terminate()
        told += started.stderr.read()

    assert started.returncode == 143
    assert "Error" not in told
    assert not Store(str(store)).exists()


@pytest.mark.parametrize("verb", ["export", "worklist"])
def test_what_reads_the_store_does_not_promise_to_judge_as_of_today(
    capsys: pytest.CaptureFixture[str], verb: str
):
    _, out, _ = call(capsys, verb, "--help")

    assert "newest run" in " ".join(out.split())
    assert "by default today" not in " ".join(out.split())


def test_another_key_is_refused_before_anything_is_written(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    clinic: Path,
    store: str,
):
    monkeypatch.setenv("E2ANALYTICS_KEY", KEY)

    code, _, err = call(capsys, "ingest", str(clinic / "drop"), "--store", store)

    assert code == 14
    assert "written under another key" in err


def test_a_refused_file_is_exit_11_and_named_on_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("E2ANALYTICS_KEY", KEY)
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "patients.csv").write_text("patient_id,clinic_id,sex,birth_date\nP1,C,M,1970-01-01\n")
    (drop / "labs.csv").write_text("")

    code, out, err = call(
        capsys, "ingest", str(drop), "--store", str(tmp_path / "store"), "--as-of", "2024-01-01"
    )

    assert code == 11
    assert "incomplete" in out
    assert f"REFUSED {drop / 'labs.csv'}: empty_file" in err


def test_too_little_data_to_fit_is_exit_12(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("E2ANALYTICS_KEY", KEY)
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "patients.csv").write_text(
        "patient_id,clinic_id,sex,birth_date\nP1,C,M,1970-01-01\n"
    )
    address = str(tmp_path / "store")
    call(capsys, "ingest", str(tmp_path / "drop"), "--store", address)

    code, _, err = call(capsys, "fit", "--store", address)

    assert code == 12
    assert "No curve could be fitted" in err


def test_an_unforeseen_error_is_exit_1_and_keeps_its_message_to_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, store: str
):
    def broken(*_: object) -> None:
        raise RuntimeError("SECRET")

    monkeypatch.setattr("e2analytics.cli.store_view.print_status", broken)

    code, out, err = call(capsys, "status", "--store", store)

    assert code == 1
    assert "RuntimeError at" in err
    assert "SECRET" not in out + err


def test_curves_are_told_in_one_order_fitted_now_or_read_from_the_store():
    summary = pl.DataFrame(
        {"site": ["femoral_neck", "lumbar_spine", "pooled", "total_hip"], "outcome": ["change"] * 4}
    )

    told = by_site(summary)["site"].to_list()

    assert told == ["lumbar_spine", "total_hip", "femoral_neck", "pooled"]
