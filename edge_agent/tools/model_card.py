"""What a person should know of a model that was made INT8 here, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_FORMS = {
    "u8s8": "unsigned 8-bit activations, signed 8-bit weights",
    "s8s8": "signed and symmetric 8-bit activations and weights, biases in float, as TensorRT reads them",
}

_MEASURES = {
    "agreement": "Agreement is AP50 with what the float model finds for the truth: {things} things in {pictures} "
    "pictures that\nwere held out from calibration.",
    "AP": "AP is COCO's, from 0 to 1, as `edge-agent eval detect` counts it: {things} things that `{annotations}` has "
    "on\n{pictures} pictures which were held out from calibration.",
}


def card_of(manifest: dict[str, Any]) -> str:
    """The card of a model, from its manifest."""
    source, nodes, measured = manifest["source"], manifest["nodes"], manifest["measured"]
    calibration, settings = manifest["calibration"], manifest["settings"]
    width, height = manifest["input"]
    versions = ", ".join(f"{name} {version}" for name, version in manifest["made_with"].items())
    kept = ", ".join(f"`{name}`" for name in nodes["kept_float"]) or "none"
    weights = "7 bits" if settings["reduce_range"] else "all 8 bits"
    return f"""# {Path(manifest["file"]).stem}

`{source["file"]}` made INT8 by edge-agent: {manifest["verdict"]}.

| | file | MB | sha256 |
|---|---|---|---|
| INT8 | `{manifest["file"]}` | {manifest["bytes"] / 1e6:.1f} | `{manifest["sha256"]}` |
| float | `{source["file"]}` | {source["bytes"] / 1e6:.1f} | `{source["sha256"]}` |

The licence and the labels of the float model, and what it is good and bad at, hold here too; its metadata are kept.

## Use

```yaml
model: {{path: {manifest["file"]}, family: {manifest["family"]}, input: [{width}, {height}]}}
```

With the labels and the other settings of the source, if it needs any.

## Measured

On {measured["on"]}, {measured["provider"]}, one thread.

| | float | INT8 |
|---|---|---|
| bytes | {source["bytes"]} | {manifest["bytes"]} |
| CPU ms a run | {measured["cpu_ms_before"]:.2f} | {measured["cpu_ms_after"]:.2f} |
| {measured["accuracy"]} | {measured["before"]:.3f} | {measured["after"]:.3f} |

{_MEASURES[measured["accuracy"]].format(**measured)}
Other pictures lose otherwise, and other processors take other times.

## Quantization

- {_FORMS[settings["form"]]}
- static, QDQ, a scale for each channel of a weight; of weights {weights}
- ranges by {settings["ranges"]} in {calibration["pictures"]} pictures of {calibration["from"]}, as the agent shows them
- {nodes["int8"]} of {nodes["all"]} nodes are INT8; what stands behind the heads is float
- kept float besides, for the loss they cause: {kept}
- made with {versions}
"""
