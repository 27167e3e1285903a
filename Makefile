# Two commands matter: `make demo` and `make test`. Everything they need is installed on first use.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
QUICKFIX := $(shell sed -n 's/^ *"quickfix==\([0-9.]*\)".*/\1/p' pyproject.toml)
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --disable-pip-version-check --quiet
N ?= 25

.PHONY: help demo test check lint types directions house torture faults scenarios lives ib-clients benchmarks report install install-dev clean

help:
	@echo "make demo        watch a real FIX session carry a portfolio from weights to fills (VENUE=name: over its dialect)"
	@echo "make test        the whole test suite, 25 kills among it, and the coverage gates"
	@echo "make check       the whole gate: lint, types, directions, tests"
	@echo "make torture N=  kill -9 every process at random moments, N times; nothing lost, nothing doubled"
	@echo "make faults      every fault that broke an IBKR adapter, each in a basket of 100 orders (VENUE=ibkr)"
	@echo "make scenarios   the order-state matrices of FIX, played against the simulator and the order manager"
	@echo "make lives       ten thousand random lives of an order, told by the simulator and followed by the gateway"
	@echo "make ib-clients  the simulated TWS, traded with ib_async, ib_insync and IBKR's own client, old and current"
	@echo "make benchmarks  every speed figure of the README"
	@echo "make report      every figure on deciding, backtesting and learning, from data to page (build/report; PPO=1: that learner, too)"

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "making the virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# quickfix comes as source only: build its wheel once, in parallel, and keep it in the user's cache.
$(VENV)/.quickfix: $(VENV)/.python
	@$(BIN)/python -c 'import quickfix' 2>/dev/null || { \
	  wheel=$$($(BIN)/python tools/quickfix_wheel.py $(QUICKFIX)) && $(PIP) install "$$wheel"; } || { \
	  echo "falling back to a plain install of quickfix; it compiles for 9 to 15 minutes"; \
	  $(PIP) install "quickfix==$(QUICKFIX)"; }
	@touch $@

$(VENV)/.installed: $(VENV)/.quickfix pyproject.toml
	@echo "installing the gateway and its libraries"
	@$(PIP) install --editable '.[simulator]'
	@touch $@

# Extras of their own, each installed on first use: the client libraries of venues, and PPO.
$(VENV)/.alpaca $(VENV)/.ibkr $(VENV)/.ppo: $(VENV)/.%: $(VENV)/.installed pyproject.toml
	@echo "installing the extra $*"
	@$(PIP) install --editable '.[simulator,$*]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed pyproject.toml
	@echo "installing the development tools"
	@$(PIP) install --editable '.[simulator,dev]'
	@touch $@

demo: install $(addprefix $(VENV)/.,$(filter alpaca ibkr,$(VENUE)))
	@$(BIN)/gateway demo $(if $(VENUE),--venue $(VENUE))

test: install-dev
	@$(BIN)/coverage erase
	@$(BIN)/python tools/suite.py
	@$(BIN)/coverage combine -q
	@$(BIN)/python tools/coverage_gate.py

lint: install-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: install-dev
	@$(BIN)/mypy

directions: install-dev
	@$(BIN)/lint-imports

check: lint types directions test

lives: install-dev
	@LIVES=10000 $(BIN)/python -m pytest -q tests/properties/test_order_lives.py

torture: install-dev
	@$(BIN)/python -m tests.torture --kills $(N) --venue $(or $(VENUE),plain)

faults: install-dev
	@case "$(or $(VENUE),ibkr)" in ibkr) $(BIN)/python -m tests.faults;; *) echo "faults are listed for VENUE=ibkr"; exit 2;; esac

scenarios: install-dev
	@$(BIN)/python tests/scenarios/play.py

ib-clients: install-dev
	@$(BIN)/python tools/ib_venvs.py

benchmarks: install-dev
	@$(BIN)/python benchmarks/planning.py
	@$(BIN)/python benchmarks/throughput.py
	@$(BIN)/python benchmarks/relay.py
	@$(BIN)/python benchmarks/alpaca_detection.py
	@$(BIN)/python benchmarks/alpaca_faults.py
	@$(BIN)/python benchmarks/policies.py
	@$(BIN)/python benchmarks/multi_asset.py
	@$(BIN)/python benchmarks/policies_speed.py
	@$(BIN)/python benchmarks/solve.py
	@$(BIN)/python benchmarks/washsale.py
	@$(BIN)/python benchmarks/environment.py
	@$(BIN)/python benchmarks/backtest.py

# torch from the package index is gigabytes of CUDA: PPO's column is left out unless its extra is installed.
$(VENV)/.report: $(VENV)/.installed-dev pyproject.toml
	@echo "installing the price data and the known backtester"
	@$(PIP) install --editable '.[simulator,dev,data,bench]'
	@touch $@

report: $(VENV)/.report $(if $(PPO),$(VENV)/.ppo)
	@$(BIN)/python tools/report.py

clean:
	rm -rf $(VENV) build .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis state
