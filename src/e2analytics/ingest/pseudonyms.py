"""Replaces patient identifiers by keyed pseudonyms as soon as they are read.

In    a patient identifier as a supplier writes it, and the namespace that it belongs to
Out   ``p`` and 20 hexadecimal digits: HMAC-SHA256 under the clinic's key, cut to 80 bits

Where the key comes from: :mod:`e2analytics.key`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping

import polars as pl

from e2analytics.tables.categoricals import TEXT

_DIGITS = 20
_CROSSWALK = {"patient_id": pl.String, "source_patient_id": pl.String, "namespace": pl.String}


def pseudonym(key: bytes, namespace: str, identifier: str) -> str:
    """Return the pseudonym of one patient.

    >>> pseudonym(b"0123456789abcdef", "clinic", "7") == pseudonym(b"0123456789abcdef", "lab", "7")
    False
    """
    return "p" + keyed_hash(key, namespace, identifier)[:_DIGITS]


def keyed_hash(key: bytes, namespace: str, text: str) -> str:
    """Return a hash of ``text``: without the key, guesses cannot be tested against it."""
    # The length in front distinguishes ("ab", "c") from ("a", "bc").
    # Names of files may hold bytes that are no UTF-8, which Python writes as surrogates.
    message = f"{len(namespace)}:{namespace}{text}".encode(errors="surrogateescape")
    return hmac.digest(key, message, "sha256").hex()


class Pseudonyms:
    """The pseudonyms of one reading: each patient's is made once, however many rows he has.

    Parameters
    ----------
    key
        The clinic's key.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, _Namespace] = {}

    def crosswalk(self) -> pl.DataFrame:
        """Return ``patient_id, source_patient_id, namespace`` of all patients so far."""
        frames = [
            pl.DataFrame(
                {
                    "patient_id": known.pseudonyms_of(known.identifiers).cast(pl.String),
                    "source_patient_id": known.identifiers.cast(pl.String),
                }
            ).with_columns(namespace=pl.lit(namespace))
            for namespace, known in self._known.items()
        ]
        return pl.concat([pl.DataFrame(schema=_CROSSWALK), *frames])

    def replace(
        self,
        rows: pl.DataFrame,
        namespace: str,
        id_prefixes: Mapping[str, str] | None = None,
        hashed: Iterable[str] = (),
    ) -> pl.DataFrame:
        """Replace ``patient_id`` of ``rows`` by pseudonyms; null stays null.

        Parameters
        ----------
        rows
            Rows with a ``patient_id``.
        namespace
            Namespace of the identifiers.
        id_prefixes
            Further columns that a feed made of the patient's number, with the prefix of each.
        hashed
            Further columns in which a feed joined the patient's number to something else.
        """
        known = self._known.setdefault(namespace, _Namespace(self._key, namespace))
        replaced = rows.with_columns(known.pseudonyms_of(rows["patient_id"]))
        replaced = replaced.with_columns(
            pl.concat_str(pl.lit(prefix), "patient_id").alias(name)
            for name, prefix in (id_prefixes or {}).items()
        )
        return replaced.with_columns(
            pl.col(name).replace_strict(
                {
                    text: keyed_hash(self._key, namespace, text)[:_DIGITS]
                    for text in replaced[name].drop_nulls().unique()
                },
                default=None,
                return_dtype=pl.String,
            )
            for name in hashed
        )


class _Namespace:
    """The patients of one namespace so far."""

    def __init__(self, key: bytes, namespace: str) -> None:
        self._key, self._namespace = key, namespace
        # Categories of their own: shared ones could expose an identifier elsewhere.
        self.identifiers = pl.Series(dtype=pl.Categorical(pl.Categories.random()))
        self._of_category = pl.Series(dtype=TEXT)

    def pseudonyms_of(self, identifiers: pl.Series) -> pl.Series:
        """Return the pseudonym of each identifier; null stays null."""
        coded = identifiers.cast(self.identifiers.dtype)
        category = coded.to_physical()
        # Polars gives the maximum of every column one type; that of category numbers is an int.
        n_new = int(category.max() or 0) + 1 - len(self._of_category)  # type: ignore[arg-type]
        none = pl.repeat(None, max(n_new, 0), dtype=TEXT, eager=True)
        self._of_category = pl.concat([self._of_category, none])
        unnamed = coded.is_not_null() & self._of_category.gather(category).is_null()
        self._name(coded.filter(unnamed).unique(maintain_order=True))
        return self._of_category.gather(category).alias(identifiers.name)

    def _name(self, new: pl.Series) -> None:
        texts = new.cast(pl.String)
        made = pl.Series(
            [pseudonym(self._key, self._namespace, text) for text in texts], dtype=TEXT
        )
        self._of_category = self._of_category.scatter(new.to_physical(), made)
        self.identifiers = pl.concat([self.identifiers, new])
