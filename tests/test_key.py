"""The key: from the environment alone, never absent, and known again by its check."""

from pathlib import Path

import pytest

from e2analytics.errors import ConfigurationError
from e2analytics.key import key_check, read_key
from e2analytics.reference.simulation_marker import MARKER_NAME, is_simulated

KEY = b"0123456789abcdef"


def test_the_key_comes_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "key").write_bytes(KEY + b"\n")
    monkeypatch.setenv("E2ANALYTICS_KEY_FILE", str(tmp_path / "key"))
    assert read_key() == KEY

    monkeypatch.setenv("E2ANALYTICS_KEY", "another key, long enough")
    assert read_key() == b"another key, long enough"


def test_only_a_simulated_drop_may_go_without_a_key(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="There is no key"):
        read_key(simulated=is_simulated(tmp_path))

    (tmp_path / MARKER_NAME).write_text("{}")
    assert len(read_key(simulated=is_simulated(tmp_path))) >= 16


def test_a_short_key_and_a_missing_key_file_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("E2ANALYTICS_KEY", "short")
    with pytest.raises(ConfigurationError, match="5 characters") as wrong:
        read_key()
    assert "short;" not in str(wrong.value)

    monkeypatch.delenv("E2ANALYTICS_KEY")
    monkeypatch.setenv("E2ANALYTICS_KEY_FILE", "/nowhere/key")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_key()


def test_the_check_of_a_key_tells_keys_apart_and_does_not_hold_them():
    assert key_check(KEY) != key_check(b"f" * 16)
    assert KEY.decode() not in key_check(KEY)
