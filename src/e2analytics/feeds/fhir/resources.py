"""FHIR resources of one file, and the references between them and to the files beside it.

In    a resource or a Bundle, as ``nodes`` parsed it
Out   every resource in it, those of inner Bundles and contained ones too: none is left out

A reference is followed to what is contained (``#p``), to an entry of the same Bundle (``urn:uuid:...``) and, for
drugs and devices, to a resource of the same file, else of another file of the drop. One that two of these
files hold with different contents gives nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from e2analytics.feeds.fhir.nodes import Node, child, children, text
from e2analytics.feeds.specimens import other_specimen

LOINC: Final = frozenset({"http://loinc.org", "urn:oid:2.16.840.1.113883.6.1"})
RXNORM: Final = frozenset(
    {"http://www.nlm.nih.gov/research/umls/rxnorm", "urn:oid:2.16.840.1.113883.6.88"}
)
UCUM: Final = frozenset({"http://unitsofmeasure.org", "urn:oid:2.16.840.1.113883.6.8"})

# A type may name itself only in the way that FHIR's types are named: anything else could be a value.
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource, and where it stands.

    Attributes
    ----------
    type
        Its ``resourceType``; None where it has none.
    id
        Its own id, or the end of its entry's fullUrl; ``outer#id`` if it is contained.
    line
        Line of the file or entry of the Bundle.
    outer
        The resource that contains it.
    entries
        fullUrl -> (type, id) of the entries of its Bundle.
    """

    type: str | None
    id: str | None
    body: Node
    line: int
    outer: Resource | None
    entries: Mapping[str, tuple[str | None, str | None]]


def unfold(body: Node, line: int) -> Iterator[Resource]:
    """Yield the resources of a line: itself, or the entries of a Bundle; each before its contained ones."""
    return _unfolded([_entry(body, None)], line, _entries([_entry(body, None)]))


def unfold_bundle(bundle: Node) -> Iterator[Resource]:
    """Yield the resources of a Bundle; ``line`` is the number of the entry, from 1."""
    listed = [_entry(child(each, "resource"), each) for each in children(bundle, "entry")]
    entries = _entries(listed)
    for number, each in enumerate(listed, start=1):
        yield from _unfolded([each], number, entries)


def _entry(body: Node, entry: Node | None) -> tuple[Node, str | None]:
    return body, text(entry or {}, "fullUrl")


def _inner(body: Node) -> list[tuple[Node, str | None]]:
    if _type(body) != "Bundle":
        return []
    return [_entry(child(each, "resource"), each) for each in children(body, "entry")]


def _entries(
    listed: list[tuple[Node, str | None]],
) -> dict[str, tuple[str | None, str | None]]:
    pending, found = list(listed), {}
    while pending:
        body, url = pending.pop()
        pending.extend(_inner(body))
        if url is not None:
            found[url] = (_type(body), _id(body, url))
    return found


def _unfolded(
    listed: list[tuple[Node, str | None]],
    line: int,
    entries: Mapping[str, tuple[str | None, str | None]],
) -> Iterator[Resource]:
    # A stack of its own: how deep a file nests must not decide whether it can be read.
    pending: list[tuple[Node, str | None, Resource | None]] = [(*each, None) for each in listed]
    while pending:
        body, url, outer = pending.pop()
        if inner := _inner(body):
            pending.extend((*each, None) for each in reversed(inner))
            continue
        resource = Resource(_type(body), _id(body, url, outer), body, line, outer, entries)
        yield resource
        contained = reversed(children(body, "contained"))
        pending.extend((each, None, resource) for each in contained)


def _type(body: Node) -> str | None:
    written = text(body, "resourceType")
    return written if written is not None and _TYPE.fullmatch(written) else None


def _id(body: Node, url: str | None, outer: Resource | None = None) -> str | None:
    own = text(body, "id")
    if outer is not None:
        # A contained id is unique in its container alone.
        return f"{outer.id}#{own}" if outer.id and own else None
    return own or (re.split(r"[/:]", url)[-1] or None if url else None)


class Directory:
    """The drugs, devices and specimens other than blood of a file and of those beside it, to be found by reference.

    Parameters
    ----------
    scan
        Yields the resources of the file again; called only when a reference asks for one.
    scan_others
        Yields those of the other files of the drop; called only when the file itself has no such resource.
    """

    _TYPES: Final = frozenset({"Medication", "Device", "Specimen"})
    _KEPT: Final = ("code", "ingredient", "manufacturer", "serialNumber", "identifier", "type")

    def __init__(
        self,
        scan: Callable[[], Iterable[Resource]],
        scan_others: Callable[[], Iterable[Resource]] = lambda: (),
    ) -> None:
        self._scan = scan
        self._scan_others = scan_others

    def resolve(self, resource: Resource, reference: Node) -> Node:
        """Return the body that ``reference`` of ``resource`` points to; empty if it is elsewhere."""
        written = text(reference, "reference")
        if written is None:
            return {}
        if written.startswith("#"):
            return contained(resource, written)
        target = resource.entries.get(written) or _typed_id(written)
        if target in self._bodies:
            return self._bodies[target]
        return self._others.get(target, {}) if target[0] in self._TYPES else {}

    @cached_property
    def _bodies(self) -> dict[tuple[str | None, str | None], Node]:
        return dict(self._listed(self._scan()))

    @cached_property
    def _others(self) -> dict[tuple[str | None, str | None], Node]:
        found: dict[tuple[str | None, str | None], Node] = {}
        for target, body in self._listed(self._scan_others()):
            found[target] = body if found.get(target, body) == body else {}
        return found

    def _listed(
        self, resources: Iterable[Resource]
    ) -> Iterator[tuple[tuple[str | None, str | None], Node]]:
        for each in resources:
            if each.type == "Specimen" and not other_specimen(said_of(child(each.body, "type"))):
                continue  # most are of blood, and of each result there may be one
            if each.type in self._TYPES and each.outer is None:
                kept: Node = {key: each.body[key] for key in self._KEPT if key in each.body}
                yield (each.type, each.id), kept


def contained(resource: Resource, written: str) -> Node:
    """Return the contained resource that ``#id`` means."""
    container = resource.outer or resource
    inside = children(container.body, "contained")
    return next((each for each in inside if text(each, "id") == written.removeprefix("#")), {})


def patient_id(resource: Resource) -> str | None:
    """Return the id of the Patient that a resource is about; None if unknown.

    A Patient that is contained, or named by an identifier only, has no id of its own: he is known by
    ``system|value``, as in a FHIR search, which no id can be mistaken for.
    """
    reference = child(resource.body, "subject") or child(resource.body, "patient")
    if not reference and resource.outer is not None:
        return patient_id(resource.outer)
    written = text(reference, "reference")
    if written is None:
        return token(child(reference, "identifier"))
    if written.startswith("#"):
        person = contained(resource, written)
        return own_token(person) if _type(person) == "Patient" else None
    kind, found = resource.entries.get(written) or _typed_id(written)
    return found if kind in ("Patient", None) else None


def own_token(patient: Node) -> str | None:
    """Return the identifier of a Patient that is a medical record number, else his first one."""
    return next(filter(None, map(token, _by_rank(patient))), None)


def record_number(patient: Node) -> str | None:
    """Return the bare medical record number of a Patient, else his first identifier."""
    return next(filter(None, (text(each, "value") for each in _by_rank(patient))), None)


def _by_rank(patient: Node) -> list[Node]:
    def is_other(identifier: Node) -> bool:
        codes = (text(each, "code") for each in children(child(identifier, "type"), "coding"))
        return "MR" not in codes

    return sorted(children(patient, "identifier"), key=is_other)


def token(identifier: Node) -> str | None:
    """Return ``system|value``; None without a value."""
    value = text(identifier, "value")
    return f"{text(identifier, 'system') or ''}|{value}" if value else None


def _typed_id(written: str) -> tuple[str | None, str | None]:
    if written.startswith("urn:"):
        return None, written.rpartition(":")[2] or None
    parts = written.partition("/_history/")[0].split("/")
    if len(parts) < 2 or not _TYPE.fullmatch(parts[-2]) or not parts[-1] or "?" in parts[-1]:
        return "", None
    return parts[-2], parts[-1]


def reference_id(reference: Node) -> str | None:
    """Return the id in a literal reference to something outside the resource."""
    written = text(reference, "reference")
    return _typed_id(written)[1] if written is not None and not written.startswith("#") else None


def reference_type(resource: Resource, reference: Node) -> str | None:
    """Return the type of what a reference points to, as far as it says so."""
    written = text(reference, "reference") or ""
    if written.startswith("#"):
        return _type(contained(resource, written))
    return (resource.entries.get(written) or _typed_id(written))[0] or text(reference, "type")


def code(concept: Node, systems: frozenset[str]) -> str | None:
    """Return the first code of a CodeableConcept that is of one of the ``systems``."""
    of_them = (each for each in children(concept, "coding") if text(each, "system") in systems)
    return next(filter(None, (text(each, "code") for each in of_them)), None)


def local_code(concept: Node) -> str | None:
    """Return the first code that is not LOINC."""
    others = (each for each in children(concept, "coding") if text(each, "system") not in LOINC)
    return next(filter(None, (text(each, "code") for each in others)), None)


def display(concept: Node, systems: frozenset[str] = frozenset()) -> str | None:
    """Return a coding's words, those of ``systems`` first."""
    ranked = sorted(
        children(concept, "coding"), key=lambda each: text(each, "system") not in systems
    )
    return next(filter(None, (text(each, "display") for each in ranked)), None)


def wording(concept: Node) -> str | None:
    """Return a CodeableConcept's own text, else a coding's words."""
    return text(concept, "text") or display(concept)


def said_of(concept: Node) -> list[str]:
    """Return every text and code that names a concept."""
    codes = (text(each, "code") for each in children(concept, "coding"))
    return [*all_words(concept), *filter(None, codes)]


def all_words(concept: Node) -> list[str]:
    """Return every text that names a concept."""
    spoken = [
        text(concept, "text"),
        *(text(each, "display") for each in children(concept, "coding")),
    ]
    return [each for each in spoken if each]
