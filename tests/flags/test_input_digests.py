"""Input digests: they change with their rows and with nothing else."""

from datetime import timedelta
from typing import Any

from tests.flags.men import AS_OF, LOW_BY_DRUG, ago, draw, judge, order


def test_a_digest_changes_with_its_rows_and_with_nothing_else():
    same = ("results_digest", "dose_digest", "scans_digest")
    first = judge().row(0, named=True)
    tomorrow = judge(man=LOW_BY_DRUG, as_of=AS_OF + timedelta(days=1)).row(0, named=True)
    corrected = judge(draws=[draw(value_low=21.0, value_high=21.0)]).row(0, named=True)
    ordered = judge([order(), order(started_on=ago(40), source_line=3)]).row(0, named=True)
    scanned = judge(bone_class="normal").row(0, named=True)

    def changed(row: dict[str, Any]) -> list[str]:
        return [name for name in same if row[name] != first[name]]

    assert changed(tomorrow) == []
    assert changed(corrected) == ["results_digest"]
    assert changed(ordered) == ["dose_digest"]
    assert changed(scanned) == ["scans_digest"]
