# Two commands on a fresh machine: `make demo` runs the main job, `make test` passes the tests.
# Each makes its own virtual environment in .venv; PYTHON=python3.12 chooses another interpreter (VENV another folder).

VENV ?= .venv
BIN = $(VENV)/bin
HA_VENV ?= .venv-ha

# Tests wait for real streams, stalls and retries more than they compute: more of them than cores, side by side.
JOBS ?= 3

.PHONY: help demo test test-ha check format bench wheel clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## real people in a real clip become events on a real MQTT broker
	$(BIN)/edge-agent demo

test: $(VENV)/.dev ## all tests, with a real broker, real video, real models
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-ha: $(VENV)/.dev $(HA_VENV)/.ha ## a real Home Assistant shows what is announced (Python 3.13, some minutes)
	EDGE_AGENT_HA_PYTHON=$(abspath $(HA_VENV))/bin/python $(BIN)/python -m pytest tests/ha $(ARGS)

check: $(VENV)/.dev ## formatting, lint, types, the unit file, the contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	scripts/check-unit
	scripts/check-contract $(BIN)/python

format: $(VENV)/.dev ## format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.demo ## what each stage costs on this machine
	$(BIN)/edge-agent bench

wheel: $(VENV)/.dev ## build dist/*.whl
	$(BIN)/python -m pip wheel --no-deps -w dist .

clean: ## remove what make made
	rm -rf $(VENV) $(HA_VENV) dist build demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis scripts/contract/node_modules

$(VENV)/.demo: pyproject.toml scripts/venv
	scripts/venv $(VENV) demo

$(VENV)/.dev: pyproject.toml scripts/venv
	scripts/venv $(VENV) dev

$(HA_VENV)/.ha: scripts/venv-ha
	scripts/venv-ha $(HA_VENV)
