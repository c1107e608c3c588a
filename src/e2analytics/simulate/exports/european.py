"""The canonical tables as a European practice's CSV: semicolons, decimal commas, Windows-1252.

German headers, days first, a title line above the header, statuses as words:
`schemas/feeds/european_csv.yaml`. Nothing is lost.
"""

from pathlib import Path
from typing import Final

import polars as pl

from e2analytics.simulate.exports.parquet import DAYS, NUMBERS, TIMES
from e2analytics.simulate.exports.tables import Tables, dated

FILES: Final = {
    "patients": "stammdaten.csv",
    "labs": "laborwerte.csv",
    "dxa": "knochendichte.csv",
    "medications": "verordnungen.csv",
    "events": "ereignisse.csv",
    "precision": "messgenauigkeit.csv",
}
HEADERS: Final = {
    "patient_id": "Patientennummer",
    "clinic_id": "Praxis",
    "sex": "Geschlecht",
    "birth_date": "Geburtsdatum",
    "height_cm": "Größe (cm)",
    "weight_kg": "Gewicht (kg)",
    "trt_started_on": "Testosteron seit",
    "result_id": "Befundnummer",
    "collected_at": "Abnahme",
    "loinc": "LOINC",
    "test_name": "Untersuchung",
    "value": "Ergebnis",
    "unit": "Einheit",
    "method": "Methode",
    "performing_lab": "Labor",
    "status": "Status",
    "reported_at": "Befunddatum",
    "scan_id": "Messung",
    "scanned_on": "Messtag",
    "site": "Messort",
    "bmd_g_cm2": "Knochendichte (g/cm²)",
    "t_score": "T-Wert",
    "z_score": "Z-Wert",
    "scanner_id": "Gerät",
    "manufacturer": "Hersteller",
    "body_fat_pct": "Körperfett (%)",
    "vertebrae": "Wirbel",
    "side": "Seite",
    "reference_db": "Referenz",
    "order_id": "Verordnung",
    "drug": "Wirkstoff",
    "rxnorm": "RxNorm",
    "dose_mg": "Dosis (mg)",
    "doses_per_week": "Gaben je Woche",
    "sig": "Anweisung",
    "started_on": "Beginn",
    "stopped_on": "Ende",
    "event_id": "Ereignis",
    "kind": "Art",
    "occurred_on": "Datum",
    "detail": "Merkmal",
    "cv_pct": "Variationskoeffizient (%)",
}
WORDS: Final = {
    "sex": {"M": "männlich", "F": "weiblich"},
    "status": {"F": "endgültig", "C": "korrigiert", "P": "vorläufig", "X": "storniert"},
    "site": {
        "lumbar_spine": "Lendenwirbelsäule",
        "total_hip": "Hüfte gesamt",
        "femoral_neck": "Schenkelhals",
        "total_body": "Ganzkörper",
    },
}
TITLE: Final = "Auszug für die Auswertung"


def write(folder: Path, tables: Tables) -> Tables:
    """Write every table; nothing is left."""
    for name, table in tables.items():
        text = _in_german(table).write_csv(separator=";", line_terminator="\r\n")
        (folder / FILES[name]).write_bytes(f"{TITLE}\r\n{text}".encode("cp1252"))
    return {}


def _in_german(table: pl.DataFrame) -> pl.DataFrame:
    have = set(table.columns)
    days = [dated(name, "${day}.${month}.${year}") for name in (*DAYS, *TIMES) if name in have]
    numbers = [
        pl.col(name).str.replace(".", ",", literal=True)
        for name in (*NUMBERS, "value")
        if name in have
    ]
    words = [pl.col(name).replace(said) for name, said in WORDS.items() if name in have]
    return table.with_columns(*days, *numbers, *words).rename(
        {name: HEADERS[name] for name in table.columns}
    )
