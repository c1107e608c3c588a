"""Heights and weights with the unit beside them."""

import polars as pl
import pytest

from e2analytics.ingest.normalise import body_size


@pytest.mark.parametrize(
    ("written", "cm"),
    [
        ("180", 180.0),
        ("180.5 cm", 180.5),
        ("1.80 m", 180.0),
        ("71 in", 180.34),
        ("71 inches", 180.34),
        ('71"', 180.34),
        ("5'11\"", 180.34),
        ("5' 11.5", 181.61),
        ("5 ft 11 in", 180.34),
        ("6 ft", 182.88),
        ("6'", 182.88),
        # Not understood to the last mark.
        ("5'13\"", None),
        ("5.11 ft 3 in tall", None),
        ("71 in shoes", None),
        ("-71 in", None),
        ("tall", None),
    ],
)
def test_a_height_is_brought_to_cm(written: str, cm: float | None):
    frame = pl.DataFrame({"height": [written]})

    assert frame.select(body_size.height_cm("height")).item() == pytest.approx(cm)


@pytest.mark.parametrize(
    ("written", "kg"),
    [
        ("82", 82.0),
        ("82.5 kg", 82.5),
        ("180 lb", 81.6466266),
        ("180lbs", 81.6466266),
        ("180 lbs.", 81.6466266),
        ("180 pounds", 81.6466266),
        ("12 st 7 lb", None),
        ("180 lb dry", None),
        ("180 oz", None),
    ],
)
def test_a_weight_is_brought_to_kg(written: str, kg: float | None):
    frame = pl.DataFrame({"weight": [written]})

    assert frame.select(body_size.weight_kg("weight")).item() == pytest.approx(kg)
