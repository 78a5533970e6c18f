"""`${NAME}` in a text becomes what the environment says; the file itself then holds no secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from edge_agent.config.tree import Fault, Node, is_text

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


def fill(node: Node, environ: Mapping[str, str], faults: list[Fault]) -> Node:
    """Replace the variables in every text of a tree, and note those that are not set; `$${` stands for `${`."""
    if isinstance(node.value, str):
        return replace(node, value=_filled(node, node.value, environ, faults))
    if isinstance(node.value, tuple):
        return replace(node, value=tuple(fill(entry, environ, faults) for entry in node.value))
    if isinstance(node.value, Mapping):
        return replace(node, value={key: fill(value, environ, faults) for key, value in node.value.items()})
    return node


def _filled(node: Node, text: str, environ: Mapping[str, str], faults: list[Fault]) -> str:
    def value_of(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name = match["name"]
        if name is None:
            faults.append(node.fault("a variable is written ${NAME}; for the signs themselves write $${"))
        elif name not in environ:
            faults.append(node.fault(f"the variable {name} is not set"))
        elif not is_text(environ[name]):
            faults.append(node.fault(f"the variable {name} holds what is no text"))
        else:
            return environ[name]
        return match[0]

    return _VARIABLE.sub(value_of, text)
