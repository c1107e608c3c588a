"""FHIR R4: a reader for files of resources, and a module for each kind of resource."""
