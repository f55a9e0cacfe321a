# The two main commands are `make demo` and `make test`. They need Python 3.11, a C compiler and a package index.
# The first call installs everything else into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tools call each other by name.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# The tests start hundreds of commands; without stored bytecode each of them would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE
SOURCES := $(wildcard _ext/*.pyx _ext/*.pxd _ext/*.h) setup.py pyproject.toml constraints.txt

.PHONY: env dev demo docs notebook pictures test test-all test-nightly checked sanitize lint types contracts format bench faults mutants clean help

help:
	@echo "make demo       make a small made-up region and build its dataset into output/demo"
	@echo "make docs       build the pages into build/docs; make pictures and make notebook redraw these from the demo"
	@echo "make test       run the checks and the tests, without those that take long"
	@echo "make test-all   run the long tests as well, and the kernel tests with bounds checks"
	@echo "make test-nightly   run what takes longest: packages, faults, benchmarks, memory, training"
	@echo "make checked    run the kernel tests on a build with bounds checks"
	@echo "make sanitize   run them on builds that stop at a wrong address or undefined behaviour; takes minutes"
	@echo "make lint types contracts format    one kind of check at a time"
	@echo "make faults     disturb builds in many ways and write docs/reliability.md; QUICK=1 takes a minute"
	@echo "make mutants    put small faults into the code, one at a time, and count how many the tests notice; takes half an hour"
	@echo "make bench      compare with other ways to make the same chips; QUICK=1 only checks that it runs"

env: $(VENV)/ready
dev: $(VENV)/ready-for-tests

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

$(VENV)/ready: $(SOURCES)
	@if $(BIN)/python -m pip --version > /dev/null 2>&1; then $(BIN)/python .ci/prerequisites.py; \
	else $(PYTHON) .ci/prerequisites.py && $(PYTHON) -m venv $(VENV); fi
	@echo "setting up $(VENV): libraries and compiled kernels, a minute or two"
	@$(PIP) "setuptools>=77" wheel cython
	@$(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/ready-for-tests: $(VENV)/ready
	@echo "adding what the tests and checks need"
	@$(PIP) --no-build-isolation --editable ".[dev]"
	@touch $@

demo: env
	@$(BIN)/gcn demo --output output
	@$(BIN)/gcn validate output/demo

# One process more than two cores, because some tests wait for commands; one that is done takes over tests of another.
PYTEST := $(BIN)/python -m pytest --dist worksteal

test: dev lint types contracts
	$(PYTEST) --numprocesses 3 -m "not long and not nightly" $(PYTEST_ARGS)

# In one go, because each run of pytest builds its shared datasets anew. One process more, because many of the long tests
# wait for each other or for the clock.
test-all: dev lint types contracts
	$(PYTEST) --numprocesses 4 -m "not nightly" $(PYTEST_ARGS)
	$(MAKE) checked

KERNEL_TESTS := tests/contracts tests/property tests/unit -k "checked or sanitize or kernel or nodata or chips or statistics or histograms or labels or legacy or selection or cutting or filters or repeats or codec or decoded"

# Packages built and installed, faults and inputs in large numbers, benchmarks, memory, training.
test-nightly: dev
	$(PYTEST) --numprocesses 3 -m nightly $(PYTEST_ARGS)

# The kernel tests on kernels that check every index.
checked: dev
	GCN_LUIGI_CHECKED=1 $(BIN)/python setup.py --quiet build --parallel 2 --build-base build/checked \
		--build-lib build/checked/lib --build-temp build/checked/temp
	GCN_LUIGI_CHECKED=1 $(PYTEST) --numprocesses 2 --quiet -p no:cacheprovider -o pythonpath="build/checked/lib ." \
		$(KERNEL_TESTS)

# The kernel tests on kernels that do not check indices but stop at the first access outside an allocation, signed
# overflow, misaligned access, or shift or cast beyond the type. They run on the plain loops and, if this machine
# supports them, on the wide ones, both at once on two cores.
SANITIZERS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all -fno-wrapv
plain := -DGCN_BASELINE
wide := -DGCN_WIDE_ONLY

sanitize: dev
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target sanitize-plain $(if $(shell grep -wo -m1 avx2 /proc/cpuinfo),sanitize-wide)

# Python's and numpy's own memory pools would hide accesses beyond an array. The report goes to the terminal, not to pytest.
sanitize-%:
	GCN_LUIGI_SANITIZED="$(SANITIZERS) $($*)" $(BIN)/python setup.py --quiet build --build-base build/sanitized/$* \
		--build-lib build/sanitized/$*/lib --build-temp build/sanitized/$*/temp
	GCN_LUIGI_SANITIZED="$(SANITIZERS) $($*)" PYTHONMALLOC=malloc \
		LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
		$(BIN)/python -m pytest --quiet --capture=sys -p no:cacheprovider -o pythonpath="build/sanitized/$*/lib ." $(KERNEL_TESTS)

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/cython-lint _ext
	$(BIN)/codespell gcn_luigi _ext benchmarks config docs examples tests README.md CONTRIBUTING.md CHANGELOG.md

types: dev
	$(BIN)/mypy

contracts: dev
	$(BIN)/lint-imports

# A warning is an error. Nothing is downloaded.
docs: $(VENV)/ready-for-pages
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet --builder html docs build/docs
	@echo "pages: build/docs/index.html"

# Redraw the pictures from the finished demo. The tests of the web pages take the screenshots; they need chromium.
pictures: $(VENV)/ready-for-pages
	$(BIN)/gcn demo --output output --port 0
	$(BIN)/python docs/make_pictures.py output/demo
	$(BIN)/python docs/make_graph.py
	$(BIN)/python docs/make_architecture.py
	$(BIN)/python docs/make_walk.py output
	GCN_PICTURES=docs/pictures $(BIN)/python -m pytest --quiet --strict-skips tests/ui

notebook: $(VENV)/ready-for-pages
	$(BIN)/gcn demo --output output --port 0
	$(BIN)/python docs/make_notebook.py output/demo

# Measure ratios in one run; docs/performance.md explains how. SUITES="reading curves" measures only these suites.
bench: $(VENV)/ready-for-bench
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(SUITES)

# After kills, full disks, flipped bits and changed sources, a re-run must give the undisturbed dataset.
faults: dev
	$(BIN)/python -m tests.faults $(if $(QUICK),--quick)

# ARGS="--per-module 2 --only split" draws fewer mutants; python -m tests.mutation --help lists all options.
mutants: $(VENV)/ready-for-mutants
	$(BIN)/python -m tests.mutation $(ARGS)

$(VENV)/ready-for-mutants: $(VENV)/ready-for-tests
	@echo "adding what mutants need"
	@$(PIP) --no-build-isolation --editable ".[mutation]"
	@touch $@

$(VENV)/ready-for-pages: $(VENV)/ready-for-tests
	@echo "adding what the documentation and its pictures need"
	@$(PIP) --no-build-isolation --editable ".[ui,docs]"
	@touch $@

$(VENV)/ready-for-bench: $(VENV)/ready
	@echo "adding what the benchmark needs"
	@$(PIP) --no-build-isolation --editable ".[bench]"
	@touch $@

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
