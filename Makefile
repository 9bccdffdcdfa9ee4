# Needs python3.11 (or newer, below 3.14), make and a package index; everything else goes into .venv.
#
#   make demo PYTHON=python3.12              another interpreter
#   make test TORCH_INDEX=none               torch from the configured package index alone
#   make test TORCH_INDEX=https://...        torch from this index too
#   make faults VERDICTS=500 SEED=7          fewer faults, in another order
#   make soak MINUTES=120                    how long
#   make bench FRAMES=300                    fewer frames, a minute instead of seven

PYTHON ?= $(shell command -v python3.11 || command -v python3)
TORCH ?= 2.13.0
TORCH_INDEX ?= auto
VERDICTS ?= 10000
SEED ?= 1
MINUTES ?= 120
KILLS ?= 40
INPUTS ?= 10000
ROWS ?= 1000000
FRAMES ?= 3000
VENV := .venv
BIN := $(VENV)/bin

export ORT_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help demo test check bench bench-peers docs faults camera-faults train-faults soak malformed dashboard-load dashboard-kills dashboard-screen dashboard-pictures systemd clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: $(VENV)/.demo ## watch a station inspect real parts, from camera to MQTT subscriber
	@$(BIN)/inspector demo

test: $(VENV)/.dev ## run the tests; needs no network once installed
	@$(BIN)/python -m pytest

check: $(VENV)/.dev ## style, types, layers, documentation
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/inspector docs --check

bench: $(VENV)/.demo ## measure the demo station's speed on this machine, FRAMES=n, and hold every stage against its budget
	@$(BIN)/inspector reports import demo calibration/demo/reports.csv >/dev/null
	@$(BIN)/inspector bench demo --frames $(FRAMES)

bench-peers: $(VENV)/.demo ## the same machine's time for other houses' models (YOLO, Anomalib, MiniCPM-V); installs 1 GB into var/peers
	@.ci/peers $(VENV) var/peers
	@$(BIN)/inspector reports import demo calibration/demo/reports.csv >/dev/null
	@$(BIN)/python -m tests.peers

faults: $(VENV)/.dev ## prove that no verdict is lost: kills, outages, silence, a full disk; VERDICTS=500 takes a minute
	@$(BIN)/python -m tests.faults --verdicts $(VERDICTS) --seed $(SEED)

camera-faults: $(VENV)/.dev ## simulated cameras are killed, hung, frozen, robbed: is each fault told, does no stale frame pass; three minutes
	@.ci/quiet_pip $(VENV) rtsp-rs av || echo "without rtsp-rs and av the RTSP camera is left out"
	@$(BIN)/python -m tests.faults.cameras

train-faults: $(VENV)/.demo ## kill a station's training five times: does it go on, does it end where an undisturbed one does; seven minutes
	@$(BIN)/python -m tests.faults.training

soak: $(VENV)/.dev ## run the demo station for MINUTES=n and watch memory, descriptors, log and latency
	@$(BIN)/python -m tests.soak --minutes $(MINUTES)

dashboard-load: $(VENV)/.dev ## every page of the dashboard over ROWS=n verdicts while the daemon judges ten frames a second; needs ten minutes
	@$(BIN)/python -m tests.dashboard.load --rows $(ROWS)

dashboard-kills: $(VENV)/.dev ## kill dashboard and daemon in turn under load, KILLS=n SEED=m: no lock left, no row lost; ten minutes
	@$(BIN)/python -m tests.dashboard.killed --kills $(KILLS) --seed $(SEED)

dashboard-screen: $(VENV)/.dev ## how long from a verdict to the screen of a real Chromium; a minute
	@$(BIN)/python -m tests.dashboard.screen

dashboard-pictures: $(VENV)/.dev ## draw docs/dashboard/*.png anew in a real Chromium
	@$(BIN)/python -m tests.dashboard.pictures

malformed: $(VENV)/.dev ## send INPUTS=n malformed inputs to every door: settings, commands, reports, pictures, database files
	@$(BIN)/python -m tests.malformed --inputs $(INPUTS) --seed $(SEED)

systemd: $(VENV)/.dev ## prove the unit under the real systemd, in namespaces of its own; needs root
	@$(BIN)/python -m tests.systemd

docs: $(VENV)/.dev ## write the generated tables of docs/
	@$(BIN)/inspector docs

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info
	find inspector tests -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first and pinned: see docs/dependencies.md.
$(VENV)/.torch:
	@.ci/install_torch "$(PYTHON)" "$(VENV)" "$(TORCH)" "$(TORCH_INDEX)"
	@touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.torch
	@.ci/install "$(VENV)" "$(TORCH)" demo
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.torch
	@.ci/install "$(VENV)" "$(TORCH)" train,demo,dashboard,dev
	@touch $@
