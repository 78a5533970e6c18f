"""What a person should know of a model that was fitted here, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def card_of(manifest: dict[str, Any]) -> str:
    """The card of a model, from its manifest."""
    source, measured = manifest["source"], manifest["measured"]
    versions = ", ".join(f"{name} {version}" for name, version in manifest["made_with"].items())
    steps = "\n".join(f"| {step['kind']} | {step['told']} | {step['proof']} |" for step in manifest["steps"])
    left = "\n".join(f"- {line}" for line in manifest["left"]) or "- nothing"
    settings = "".join(f", {name}: {_written(value)}" for name, value in manifest["settings"].items())
    return f"""# {Path(manifest["file"]).stem}

`{source["file"]}` fitted to its use by edge-agent: {manifest["verdict"]}.

| | file | bytes | CPU ms a run | sha256 |
|---|---|---|---|---|
| before | `{source["file"]}` | {source["bytes"]} | {measured["cpu_ms_before"]:.2f} | `{source["sha256"]}` |
| after | `{manifest["file"]}` | {manifest["bytes"]} | {measured["cpu_ms_after"]:.2f} | `{manifest["sha256"]}` |

On {measured["on"]}, {measured["provider"]}, one thread; other processors take other times. The licence of the model
before holds here too, and so does what it is good and bad at. Its metadata are kept, but for the labels.

## Use

```yaml
model: {{path: {manifest["file"]}{settings}}}
```

It sees {manifest["input"][0]}x{manifest["input"][1]} and is of the family {manifest["family"]}. Its labels:
{", ".join(manifest["labels"])}.

## What was done

| | | proof |
|---|---|---|
{steps}

Not done:

{left}

Made with {versions}.
"""


def _written(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
