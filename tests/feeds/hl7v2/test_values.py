"""HL7 v2: values and times as text."""

import pytest

from tests.feeds.hl7v2.hl7_files import OBR, OBX, result


@pytest.mark.parametrize(
    ("type_and_value", "value"),
    [
        ("NM|x||23.4", "23.4"),
        ("NM|x||<5", "<5"),
        ("NM|x||<^5", "<5"),
        ("SN|x||<^5", "<5"),
        ("SN|x||>=^32", ">=32"),
        ("SN|x||=^0.5", "0.5"),
        ("SN|x||^0.5", "0.5"),
        ("SN|x||23.4", "23.4"),
        ("SN|x||10^-^20", "10-20"),
        ("SN|x||^10^-^20", "10-20"),
        ("SN|x||1^:^128", "1:128"),
        ("SN|x||^2^+", "2+"),
        ("SN|x||5^10", "5^10"),  # not 510
        ("SN|x||^5^^20", "^5^^20"),  # not 520
        ("SN|x||^^^", None),
        ("ST|x||<0.10", "<0.10"),
        ("ST|x|| < 0.10 ", "< 0.10"),
        ("|x||<5.0", "<5.0"),
        ("|x||<^5.0", "<5.0"),
        ("ST|x||QNS", "QNS"),
        ("ST|x||a\\T\\b\\F\\c", "a&b|c"),
        ("ST|x||a\\.br\\b\\X0D0A\\c", "a b c"),
        ("ST|x||\\H\\5.1\\N\\", "5.1"),
        ("ST|x||C:\\temp", "C:\\temp"),  # a backslash that escapes nothing
        ("ST|x||\\Z99\\5", "\\Z99\\5"),  # nobody knows what it stands for
        ("ST|x||\\.sp999999999999\\5", "\\.sp999999999999\\5"),
        ("ST|x||a & b", "a & b"),
        ("TX|x||first~second", "first; second"),
        ("CE|x||ND^Not detected^L", "Not detected"),
        ("CWE|x||ND", "ND"),
        ("ED|x||^application^pdf^Base64^JVBERi0x", None),
        ('NM|x||""', None),
        ("NM|x||", None),
    ],
)
def test_values_of_every_type_become_one_text(type_and_value: str, value: str | None):
    assert result(OBR, f"OBX|1|{type_and_value}|pg/mL|||||F")["value"] == value


@pytest.mark.parametrize(
    ("value", "flags", "expected"),
    [
        ("5.0", "<", "<5.0"),
        ("1500", ">", ">1500"),
        ("5.0", "L~<", "<5.0"),
        ("5.0", "<^Below absolute low^HL70078", "<5.0"),
        ("<5.0", "<", "<5.0"),
        ("5.0", "LL", "5.0"),
        ("5.0", "HH~A", "5.0"),
        # What contradicts itself, or is not understood, is no number.
        ("5.0", "<~>", "< > 5.0"),
        (">1500", "<", "<>1500"),
        ("5.0", "L<8", "L<8 5.0"),
        ("5.0", "<8", "<8 5.0"),
        ("", "<", None),
    ],
)
def test_a_flag_of_off_scale_is_part_of_the_value(value: str, flags: str, expected: str | None):
    assert result(OBR, f"OBX|1|NM|x||{value}|pg/mL||{flags}|||F")["value"] == expected


def test_times_are_as_exact_as_they_were_written():
    def collected(written: str) -> str | None:
        return result(f"OBR|1||F1||||{written}", OBX)["collected_at"]

    assert collected("20240305") == "2024-03-05"
    assert collected("2024030514") == "2024-03-05T14:00-0500"
    assert collected("202403051407") == "2024-03-05T14:07-0500"
    assert collected("20240305140709.1234+0100") == "2024-03-05T14:07:09.1234+0100"
    assert collected("20240305-0500") == "2024-03-05"
    # No day, no time: left for the rules to find.
    assert collected("202403") == "202403"
    assert collected("yesterday") == "yesterday"
    assert collected("") is None
