"""Archives of a drop: every member has a fate, and no archive writes elsewhere or becomes huge."""

import gzip
import stat
import zipfile
from pathlib import Path

import pytest

from e2analytics.feeds.archives import UNPACKED, opened

LABS = b"result_id,patient_id\n1,P1\n"


def zipped(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def fates(path: Path, into: Path) -> dict[str, str]:
    """Return the fate of each entry by the name that the user knows: read, what it is, or its rule."""
    into.mkdir()
    entries = list(opened([path], into))
    for entry in entries:
        assert entry.path == path or into in entry.path.parents
    return {
        entry.shown.relative_to(path.parent).as_posix(): entry.no_data
        or (entry.refused.rule if entry.refused else entry.path.read_text())
        for entry in entries
    }


def test_every_member_of_an_archive_has_a_fate(tmp_path: Path):
    inner = zipped(tmp_path / "inner.zip", ("x.csv", LABS)).read_bytes()
    path = zipped(
        tmp_path / "export.zip",
        ("september/labs.csv", LABS),
        ("september/README.txt", b"what this is"),
        ("older/labs.csv", LABS),
        ("older/more.zip", inner),
        ("more.csv.gz", gzip.compress(LABS)),
        ("__MACOSX/september/._labs.csv", b"\x00"),
    )

    assert fates(path, tmp_path / "into") == {
        "export.zip": UNPACKED,
        "export.zip/september/labs.csv": LABS.decode(),
        "export.zip/september/README.txt": "a readme",
        "export.zip/older/labs.csv": "repeated_member",
        "export.zip/older/more.zip": "nested_archive",
        "export.zip/more.csv.gz": "nested_archive",
        "export.zip/__MACOSX/september/._labs.csv": "hidden",
    }


@pytest.mark.parametrize(
    "name", ["../labs.csv", "/etc/labs.csv", "a/../../labs.csv", "C:\\labs.csv", "..\\labs.csv"]
)
def test_a_member_that_names_a_place_outside_refuses_the_archive(tmp_path: Path, name: str):
    path = zipped(tmp_path / "x.zip", ("fine.csv", LABS), (name, LABS))

    assert fates(path, tmp_path / "into") == {"x.zip": "unsafe_archive"}
    assert not list(tmp_path.rglob("labs.csv"))


def test_a_link_in_an_archive_refuses_it(tmp_path: Path):
    link = zipfile.ZipInfo("labs.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")

    assert fates(tmp_path / "x.zip", tmp_path / "into") == {"x.zip": "unsafe_archive"}


def test_a_member_with_a_password_is_refused_and_the_others_are_read(tmp_path: Path):
    path = zipped(tmp_path / "x.zip", ("open.csv", LABS), ("locked.csv", LABS))
    content = bytearray(path.read_bytes())
    # The flag of encryption, in the second entry of the directory and before its content.
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.rindex(mark) + offset] |= 1
    path.write_bytes(content)

    assert fates(path, tmp_path / "into") == {
        "x.zip": UNPACKED,
        "x.zip/open.csv": LABS.decode(),
        "x.zip/locked.csv": "encrypted_member",
    }


@pytest.mark.parametrize("suffix", [".zip", ".gz"])
def test_an_archive_that_would_become_huge_is_refused(tmp_path: Path, suffix: str):
    path, zeros = tmp_path / f"x.csv{suffix}", bytes(40_000_000)
    if suffix == ".zip":
        zipped(path, ("x.csv", zeros))
    else:
        path.write_bytes(gzip.compress(zeros))

    assert fates(path, tmp_path / "into") == {path.name: "too_large_inside"}


def test_what_an_archive_says_of_its_own_size_is_not_believed(tmp_path: Path):
    path = zipped(tmp_path / "x.zip", ("x.csv", LABS * 1000))
    content = path.read_bytes()
    size = (len(LABS) * 1000).to_bytes(4, "little")
    path.write_bytes(content.replace(size, (10).to_bytes(4, "little")))

    assert fates(path, tmp_path / "into") == {"x.zip": "damaged_archive"}


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("labs.csv.gz", gzip.compress(LABS * 100)[:-9], "truncated_file"),
        ("labs.csv.gz", LABS, "damaged_archive"),
        ("labs.csv.gz", gzip.compress(LABS)[:-8] + bytes(8), "damaged_archive"),
        ("labs.zip", LABS, "damaged_archive"),
        ("labs.zip", b"PK\x05\x06" + bytes(18), "empty_file"),
    ],
    # Not the content: gzip writes the time of day into it.
    ids=["cut", "no gzip", "wrong sum", "no zip", "empty zip"],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, name: str, content: bytes, rule: str):
    (tmp_path / name).write_bytes(content)

    assert fates(tmp_path / name, tmp_path / "into") == {name: rule}


def test_a_gz_is_the_file_of_its_name_without_gz(tmp_path: Path):
    (tmp_path / "labs.csv.gz").write_bytes(gzip.compress(LABS))

    assert fates(tmp_path / "labs.csv.gz", tmp_path / "into") == {
        "labs.csv.gz": UNPACKED,
        "labs.csv.gz/labs.csv": LABS.decode(),
    }


def test_a_tar_is_not_unpacked(tmp_path: Path):
    (tmp_path / "labs.tar.gz").write_bytes(gzip.compress(b"ustar"))

    assert fates(tmp_path / "labs.tar.gz", tmp_path / "into")["labs.tar.gz/labs.tar"] == (
        "nested_archive"
    )
