"""The contract as other programs read it: schemas, examples, AsyncAPI, and whether recorded messages keep to it."""

from edge_agent.tools.contract.asyncapi import document
from edge_agent.tools.contract.conformance import Contract, faults_in
from edge_agent.tools.contract.device import Device, Place, Watched, addresses_of
from edge_agent.tools.contract.listing import listing
from edge_agent.tools.contract.schemas import example_lines, examples, schema, schema_names, schema_text

__all__ = [
    "Contract",
    "Device",
    "Place",
    "Watched",
    "addresses_of",
    "document",
    "example_lines",
    "examples",
    "faults_in",
    "listing",
    "schema",
    "schema_names",
    "schema_text",
]
