# Everything a developer and the CI do with this repository; `make` alone lists it.
#
# Each stage says its name and the time since make began, and is quiet otherwise unless it fails.
# What is needed is made: .venv in this folder; the API servers in ~/.cache/lightkeeper (see
# tests/controlplane/build.sh and newer.sh); a few Debian packages on the machine.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SILENT:
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo $$python && break; done)
BIN := .venv/bin
VENV := .venv/.complete
# Servers the integration tests start for themselves, and the clients that go with them.
SYSTEM_PACKAGES := openssh-server openssh-client nginx fcgiwrap git openssl tinyproxy microsocks libfaketime \
	gnupg prometheus strace systemd
# The quick tests first; in one run, so that there is one verdict.
TEST_FOLDERS := tests/unit $(filter-out tests/unit/ tests/__pycache__/, $(wildcard tests/*/))

ifndef STARTED # a make started by make counts on
export STARTED := $(shell date +%s)
endif
stage = spent=$$(( $$(date +%s) - STARTED )); \
	printf 'make %3dm%02ds  %s\n' $$((spent / 60)) $$((spent % 60)) "$(1)" >&2
# quietly COMMAND...: what it says is shown only if it fails.
quietly = quietly() { local said; said=$$("$$@" 2>&1) || { printf '%s\n' "$$said" >&2; return 1; }; }; \
	quietly
# apt PACKAGE...: the package lists are fetched only if they turn out to be missing or too old.
apt = apt() { DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
	-o DPkg::Lock::Timeout=300 "$$@"; }; \
	apt_updated() { apt "$$@" || { apt-get update -qq || true; apt "$$@"; }; }; \
	$(quietly) apt_updated

.PHONY: help
help: ## list what make can do
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- what the rest needs ----------------------------------------------------------------------

.PHONY: venv
venv: $(VENV) ## the virtual environment in .venv, as requirements.lock says

# The stamp is written last and taken away first: without it the environment is made anew, with an
# old one it is brought up to date in place.
$(VENV): requirements.lock pyproject.toml
	$(call stage,virtual environment$(if $(wildcard $@),, (half a minute or so)))
	[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/it" >&2; exit 1; }
	if [ -f $@ ]; then
		rm $@
	else
		rm -rf .venv
		if ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then
			$(call stage,installing Python's venv)
			$(apt) "python$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
		fi
		$(PYTHON) -m venv .venv
	fi
	pip="$(BIN)/python -m pip --disable-pip-version-check --no-input"
	$(quietly) $$pip install --require-hashes --requirement requirements.lock
	quietly $$pip install --no-deps --no-build-isolation --editable .
	quietly $$pip check
	touch $@

.PHONY: system
system: ## the Debian packages that tests need, without starting their daemons
	missing=()
	for package in $(SYSTEM_PACKAGES); do
		[ "$$(dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null)" = installed ] ||
			missing+=("$$package")
	done
	[ $${#missing[@]} -gt 0 ] || exit 0
	$(call stage,installing $${missing[*]})
	[ $$EUID -eq 0 ] || { echo "run: sudo apt-get install $${missing[*]}" >&2; exit 1; }
	# Debian starts a daemon as soon as it is installed, unless this program forbids it.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $$policy ] || grep -qs lightkeeper $$policy; then
		trap "rm -f $$policy" EXIT
		printf '#!/bin/sh\n# lightkeeper: no daemons, until make system is done\nexit 101\n' >$$policy
		chmod +x $$policy
	fi
	$(apt) "$${missing[@]}"

.PHONY: controlplane
controlplane: ## etcd and kube-apiserver, found or built once (about 6 minutes)
	$(call stage,control plane)
	PYTHON=$(PYTHON) tests/controlplane/build.sh >/dev/null

.PHONY: newer
newer: ## an API server of today for custom resources, found or built once (about 6 minutes)
	$(call stage,API server of today)
	tests/controlplane/newer.sh >/dev/null

# --- checks -----------------------------------------------------------------------------------

.PHONY: lint
lint: $(VENV) ## ruff, its formatter, and the syntax of shell scripts
	$(call stage,lint)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check . ||
		{ echo "not formatted: $(BIN)/ruff format . puts it right; $(BIN)/ruff format --diff . shows where" >&2; exit 1; }
	git ls-files --cached --others --exclude-standard '*.sh' .ci/run | while read -r script; do
		bash -n "$$script"
	done

.PHONY: types
types: $(VENV) ## mypy, strict
	$(call stage,types)
	$(quietly) $(BIN)/mypy

.PHONY: layers
layers: $(VENV) ## imports go one way
	$(call stage,layers)
	$(quietly) $(BIN)/lint-imports

.PHONY: unit
unit: $(VENV) ## the tests that need no server
	$(call stage,unit tests)
	$(BIN)/pytest -m 'not integration and not e2e'

.PHONY: integration
integration: $(VENV) system controlplane newer ## the tests against real servers
	$(call stage,integration tests)
	$(BIN)/pytest -m integration

.PHONY: e2e
e2e: $(VENV) system controlplane binary ## the tests that drive the binary
	$(call stage,end-to-end tests)
	$(BIN)/pytest -m e2e

.PHONY: test
test: $(VENV) system controlplane newer lint types layers binary ## everything, with coverage; this is the CI
	$(call stage,unit and integration tests and those of the binary)
	$(BIN)/coverage run -m pytest $(TEST_FOLDERS)
	$(BIN)/coverage report --format=total | xargs printf 'coverage: %s%% of agent (lines and branches)\n'
	$(call stage,all good)

# --- use --------------------------------------------------------------------------------------

.PHONY: bench
bench: $(VENV) system controlplane ## measure beside the floor and kubectl, and write docs/performance.md (half an hour)
	mkdir -p docs
	$(BIN)/python -m tests.bench --write docs/performance.md

.PHONY: binary
binary: $(VENV) ## dist/lightkeeper, for any Linux with glibc 2.31 or newer (once 8 minutes, then half a one)
	$(call stage,binary)
	PYTHON=$(BIN)/python packaging/binary/build.sh

.PHONY: release
release: $(VENV) ## dist/release: binary, sums, SBOM, licences, manifests; of a clean commit only
	$(BIN)/python packaging/release/release.py --check
	$(MAKE) binary
	$(call stage,release)
	$(BIN)/python packaging/release/release.py

.PHONY: docs
docs: $(VENV) ## write docs/configuration.md anew from agent/config
	PYTHONPATH=. $(BIN)/python packaging/docs/generate.py

.PHONY: soak
soak: $(VENV) system controlplane ## commits and drift for an hour (SOAK=3600), and nothing grows
	$(call stage,soak of $(or $(SOAK),3600) s)
	LIGHTKEEPER_SOAK=$(or $(SOAK),3600) $(BIN)/pytest -s tests/soak

.PHONY: demo
demo: $(VENV) ## see it work, on KUBECONFIG if that is set, else on a control plane of its own
	if [ -z "$${KUBECONFIG:-}" ]; then
		$(MAKE) controlplane
		# The control plane's certificates are made with it, also where its programs need no build.
		if ! command -v openssl >/dev/null; then
			$(call stage,installing openssl)
			$(apt) openssl
		fi
	fi
	$(BIN)/python -m tests.demo

.PHONY: manifests
manifests: $(VENV) ## write packaging/manifests and packaging/systemd anew, as install --export prints
	$(call stage,manifests)
	$(BIN)/python packaging/manifests/generate.py

.PHONY: lock
lock: $(VENV) ## write requirements.lock, and the binary's part of it, anew from pyproject.toml
	$(call stage,lock file)
	compile="$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header pyproject.toml"
	$$compile --universal --group dev -o requirements.lock
	$$compile --python-platform linux --group binary --constraint requirements.lock \
		-o packaging/binary/requirements.lock
	if grep -nE '://|^/|$(CURDIR)' requirements.lock packaging/binary/requirements.lock; then
		echo "a lock file names a host or a path of this machine; see above" >&2
		exit 1
	fi

.PHONY: clean
clean: ## remove what was made in this folder
	rm -rf .venv .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache \
		.hypothesis build dist *.egg-info
	find agent tests packaging -name __pycache__ -prune -exec rm -rf {} +
