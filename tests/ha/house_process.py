"""Home Assistant itself, without its web pages, asked by lines of JSON: run by a Python that has `homeassistant`.

    python house_process.py CONFIG_FOLDER PORT

A line in is `[what, arguments…]`, a line out its answer; the first line out says that it has started.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from pathlib import Path
from typing import Any

from homeassistant import bootstrap, loader
from homeassistant.config_entries import ConfigEntries, ConfigEntryState
from homeassistant.const import EVENT_STATE_CHANGED, __version__
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.core_config import async_process_ha_core_config
from homeassistant.helpers import device_registry, entity_registry, trigger
from homeassistant.setup import async_setup_component


class House:
    """What is asked of it."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._seen: list[dict[str, Any]] = []
        self._pulled: list[str] = []
        hass.bus.async_listen(EVENT_STATE_CHANGED, self._note)

    @callback
    def _note(self, event: Event) -> None:
        old, new = event.data["old_state"], event.data["new_state"]
        entity_id = event.data["entity_id"]
        if entity_id.startswith("event.") and new is not None:
            state = {"old": old and old.state, "new": new.state, "attributes": dict(new.attributes)}
            self._seen.append({"entity_id": entity_id, **state})

    async def states(self) -> dict[str, Any]:
        """The state and the attributes of every entity."""
        return {
            one.entity_id: {"state": one.state, "attributes": dict(one.attributes)}
            for one in self._hass.states.async_all()
        }

    async def entities(self) -> list[dict[str, Any]]:
        """All that MQTT has brought."""
        registry = entity_registry.async_get(self._hass)
        return [
            {
                "entity_id": one.entity_id,
                "unique_id": one.unique_id,
                "device_id": one.device_id,
                "category": one.entity_category,
                "disabled": one.disabled,
            }
            for one in registry.entities.values()
            if one.platform == "mqtt"
        ]

    async def devices(self) -> list[dict[str, Any]]:
        """All devices that MQTT has brought."""
        registry = device_registry.async_get(self._hass)
        return [
            {
                "id": one.id,
                "name": one.name,
                "identifiers": [value for _, value in one.identifiers],
                "via": one.via_device_id,
                "version": one.sw_version,
            }
            for one in registry.devices.values()
            if any(domain == "mqtt" for domain, _ in one.identifiers)
        ]

    async def triggers(self, device_id: str) -> list[list[str]]:
        """The triggers of a device: of what kind, and about what."""
        from homeassistant.components.mqtt import device_trigger  # noqa: PLC0415  (loaded by then)

        found = await device_trigger.async_get_triggers(self._hass, device_id)
        return sorted([one["type"], one["subtype"]] for one in found)

    async def attach(self, device_id: str, kind: str, subject: str) -> None:
        """Note each time that a device trigger fires."""
        config = {"platform": "device", "domain": "mqtt", "device_id": device_id, "type": kind, "subtype": subject}

        async def note(_variables: dict[str, Any], _context: Any = None) -> None:
            self._pulled.append(f"{subject} {kind}")

        checked = await trigger.async_validate_trigger_config(self._hass, [config])
        await trigger.async_initialize_triggers(
            self._hass, checked, note, "test", subject, logging.getLogger("triggers").log
        )

    async def pulled(self) -> list[str]:
        """What has fired so far."""
        return self._pulled

    async def fired(self) -> list[dict[str, Any]]:
        """Every state that an event entity has taken."""
        return self._seen

    async def call(self, domain: str, service: str, data: dict[str, Any]) -> None:
        """Do what a person does with a switch or a slider."""
        await self._hass.services.async_call(domain, service, data, blocking=True)

    async def version(self) -> str:
        """Of Home Assistant."""
        return __version__


def say(answer: Any) -> None:
    """Answer with a line."""
    sys.stdout.write(json.dumps(answer, default=str) + "\n")
    sys.stdout.flush()


async def main(folder: Path) -> None:
    """Start, answer until the input ends, and stop in order."""
    hass = HomeAssistant(str(folder))
    hass.config.skip_pip = True
    loader.async_setup(hass)
    hass.config_entries = ConfigEntries(hass, {})
    await bootstrap.async_load_base_functionality(hass)
    await async_process_ha_core_config(hass, {"unit_system": "metric", "time_zone": "UTC", "country": "DE"})
    house = House(hass)
    config = {"http": {"server_host": "127.0.0.1", "server_port": int(sys.argv[2])}}
    for component in ("homeassistant", "http", "mqtt"):  # as its own start does it, less the pages and their packages
        assert await async_setup_component(hass, component, config), component
    await hass.async_start()
    await hass.async_block_till_done()
    (entry,) = hass.config_entries.async_entries("mqtt")
    assert entry.state is ConfigEntryState.LOADED, entry.state
    say("started")
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    while line := await lines.get():
        what, *arguments = json.loads(line)
        say(await getattr(house, what)(*arguments))
    await hass.async_stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s (%(threadName)s) [%(name)s] %(message)s")
    asyncio.run(main(Path(sys.argv[1])))
