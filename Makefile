# Everything a newcomer needs: `make demo`, `make test`. Python 3.11 or newer is all that must be there already.

PYTHON  ?= python3
VENV    ?= .venv
BIN     := $(VENV)/bin
RUNTIME := $(VENV)/.installed
DEV     := $(VENV)/.installed-dev
FUZZ    := $(VENV)/.installed-fuzz
RELEASE := $(VENV)/.installed-release
PIP     := $(BIN)/python -m pip --disable-pip-version-check
LOCKS   := docs/locks
CORE    := diode/core/libdiode_core.so

# make demo FILES=path LOSS=2% MTU=9000 RATE=200M: your own files, another link
FILES   ?=
LOSS    ?=
MTU     ?=
RATE    ?=

# make image BASE=image-you-trust: anything with Python and its venv module
BASE         ?= python:3.11-slim
IMAGE        ?= diode:local
IMAGE_PYTHON ?= 3.11

# Where Python is told to keep nothing that it compiled, each process of each test would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: help demo enclave test test-long test-all clients-test compose-test quick hooks coverage lint format faults oneway fuzz fuzz-loaders flood bench
.PHONY: wheelhouse image lock release tag compose-init clean

help:
	@echo 'make demo          move a safetensors file and thousands of small files across a lossy emulated diode'
	@echo '                   (FILES=path LOSS=2% MTU=9000 RATE=200M)'
	@echo 'make enclave       a whole enclave on loopback: six kinds of artefacts, sent, served, with what a client types'
	@echo 'make test          every kind of behaviour once; under four minutes on two cores (ARGS="-k name")'
	@echo 'make test-long     the tests that make test leaves out: more transfers, more faults; nine minutes'
	@echo 'make test-all      both in one run'
	@echo 'make clients-test  pip, npm, docker, apt and others against the gateway; installs clients; minutes'
	@echo 'make compose-test  docker-compose.yml on a real Docker engine; as root; a minute or two'
	@echo 'make quick         lint, and the tests of the house: layout, documentation, locks; half a minute'
	@echo 'make hooks         let git run make quick before each commit'
	@echo 'make coverage      branch coverage of the unit tests, and its floor; half an hour'
	@echo 'make lint          ruff and mypy'
	@echo 'make format        rewrite the code as ruff formats it'
	@echo 'make faults        crashes, power losses and bad lines by the thousand; up to 20 minutes'
	@echo 'make oneway        prove that nothing comes back: namespaces, probes, a rogue process; needs root'
	@echo 'make fuzz          hostile datagrams and inputs for five minutes (ARGS="--seconds 3600")'
	@echo 'make fuzz-loaders  changed files before lint and the libraries that load them, for five minutes'
	@echo 'make flood         a transfer under floods; root, network namespaces'
	@echo 'make bench         measure this machine (ARGS="--quick --json-file FILE")'
	@echo 'make wheelhouse    all wheels for an offline installation'
	@echo 'make image         container image from the wheelhouse (BASE=image)'
	@echo 'make lock          newest versions within the bounds of pyproject.toml, with digests, into docs/locks'
	@echo 'make release       wheel, source and bill of materials in dist/, with SHA256SUMS'
	@echo 'make tag           sign the tag of the version in pyproject.toml (docs/releases.md)'
	@echo 'make compose-init  keys, configurations and folders for docker-compose.yml'
	@echo 'make clean         remove what the other targets made; keys and bundles stay'

demo: $(RUNTIME)
	$(BIN)/diode demo $(if $(FILES),--files "$(FILES)") $(if $(LOSS),--loss $(LOSS)) $(if $(MTU),--mtu $(MTU)) $(if $(RATE),--rate $(RATE))

# The folder must be new; `make enclave ENCLAVE=folder`. Ctrl-C ends it.
ENCLAVE ?= enclave
enclave: $(DEV)
	$(BIN)/python docs/examples/enclave/enclave.py $(ENCLAVE) $(ARGS)

# Which tests: the default ones (pyproject.toml says which), those marked long, or both. "slow" and "compose" are asked
# for by name.
PYTEST = $(BIN)/python -m pytest -n auto --dist worksteal
test: $(DEV)
	$(PYTEST) $(ARGS)

test-long: $(DEV)
	$(PYTEST) -m 'long and not slow and not compose and not clients' $(ARGS)

test-all: $(DEV)
	$(PYTEST) -m 'not slow and not compose and not clients' $(ARGS)

# Several minutes: pip, npm, docker, apt and others, old ones and new ones, each against a gateway that serves an inbox.
# A file at a time: some set up a whole enclave once, for all of their tests.
clients-test: $(DEV)
	$(PYTEST) --dist loadfile -m clients $(ARGS)

compose-test: $(DEV)
	$(BIN)/python -m pytest -m compose $(ARGS)

lint: $(DEV)
	@status=0; \
	for check in 'ruff check .' 'ruff format --check .' mypy; do \
		echo "$$check"; $(BIN)/$$check || status=1; \
	done; exit $$status

# What takes no longer than a person waits, and finds what most often breaks: layout, links, tables, locks.
QUICK := tests/test_architecture.py tests/test_house.py tests/test_files.py tests/test_messages.py tests/test_docs.py \
	tests/test_claims.py tests/test_locks.py
quick: lint
	$(BIN)/python -m pytest -q -p no:xdist $(QUICK) $(ARGS)

# A plain script: no package to lock, no network, and exactly what a person would type. It looks at the folder as it is.
hooks: $(DEV)
	printf '#!/bin/sh\nunset $$(git rev-parse --local-env-vars)\nexec make quick\n' > "$$(git rev-parse --git-path hooks)/pre-commit"
	chmod +x "$$(git rev-parse --git-path hooks)/pre-commit"

# The floor is of this selection alone: what whole daemons do in tests/e2e would take hours to measure.
COVERED := tests/diode tests/sender tests/receiver
FLOOR   := 86.5
coverage: $(DEV)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -p no:xdist $(COVERED)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --precision=1 --fail-under=$(FLOOR) $(ARGS)

format: $(DEV)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

faults: $(DEV)
	$(BIN)/python -m tests.faults $(ARGS)
	$(BIN)/python -m tests.faults.unplugged
	$(BIN)/python -m tests.faults.small_bundles
	$(BIN)/python -m tests.faults.kills
	$(BIN)/python -m tests.faults.matrix

oneway: $(DEV)
	$(BIN)/python -m tests.oneway $(ARGS)

# its own stamp: whoever only tests needs no atheris
fuzz: $(FUZZ)
	$(BIN)/python -m tests.fuzz $(ARGS)

fuzz-loaders: $(DEV)
	$(BIN)/python -m tests.fuzz.loaders $(ARGS)

flood: $(DEV)
	$(BIN)/python -m tests.fuzz.flood $(ARGS)

bench: $(RUNTIME)
	$(BIN)/diode bench $(ARGS)

# Nothing is installed but what docs/locks names with its digest, and nothing of that is ever compiled. The project itself
# is installed in place. Of it, the core is compiled where rustc is installed; all else works without.
INSTALL  = $(PIP) install --quiet --only-binary :all: --require-hashes --requirement $(LOCKS)/build.txt --requirement
IN_PLACE = $(PIP) install --quiet --no-deps --no-build-isolation --editable .

$(RUNTIME): pyproject.toml $(LOCKS)/build.txt $(LOCKS)/runtime.txt | $(BIN)/python $(CORE)
	@echo 'installing into $(VENV)'
	@$(INSTALL) $(LOCKS)/runtime.txt
	@$(IN_PLACE)
	@touch $@

$(DEV): pyproject.toml $(LOCKS)/build.txt $(LOCKS)/dev.txt | $(BIN)/python $(CORE)
	@echo 'installing into $(VENV), with the tools of development'
	@$(INSTALL) $(LOCKS)/dev.txt
	@$(IN_PLACE)
	@touch $(RUNTIME) $@

$(FUZZ): pyproject.toml $(LOCKS)/build.txt $(LOCKS)/fuzz.txt | $(BIN)/python $(CORE)
	@echo 'installing into $(VENV), with the fuzzers'
	@$(INSTALL) $(LOCKS)/fuzz.txt
	@$(IN_PLACE)
	@touch $(RUNTIME) $@

$(RELEASE): pyproject.toml $(LOCKS)/build.txt $(LOCKS)/release.txt | $(BIN)/python $(CORE)
	@echo 'installing into $(VENV), with the tools of a release'
	@$(INSTALL) $(LOCKS)/release.txt
	@$(IN_PLACE)
	@touch $(RUNTIME) $@

# Only ordered before the stamps: a source that changed is compiled again, and nothing is installed again for it.
$(CORE): diode/core/build.py $(wildcard diode/core/src/*.rs) | $(BIN)/python
	@$(BIN)/python -m diode.core.build

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.x")'
	@$(PYTHON) -m venv $(VENV)

# A folder from which a host without an index installs, by digest: pip install --no-index --find-links wheelhouse
# --require-hashes --requirement wheelhouse/requirements.txt; requirements-gateway.txt has what the gateway needs, too.
wheelhouse: $(RUNTIME)
	rm -rf wheelhouse
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir wheelhouse .
	$(PIP) download --quiet --only-binary :all: --python-version $(IMAGE_PYTHON) --dest wheelhouse \
		--require-hashes --requirement $(LOCKS)/gateway.txt
	$(BIN)/python -m pip hash wheelhouse/diode-*.whl | \
		sed -n 's|^wheelhouse/diode-\([^-]*\)-.*whl:$$|diode==\1 \\|p; s|^--hash|    --hash|p' > wheelhouse/diode.txt
	cat $(LOCKS)/runtime.txt wheelhouse/diode.txt > wheelhouse/requirements.txt
	cat $(LOCKS)/gateway.txt wheelhouse/diode.txt > wheelhouse/requirements-gateway.txt
	rm wheelhouse/diode.txt

image: wheelhouse
	@case '$(BASE)' in *@sha256:*) ;; *) echo 'note: BASE=$(BASE) is a name that can move; BASE=NAME@sha256:DIGEST is one image for good';; esac
	docker build --file docs/docker/Dockerfile --build-arg BASE=$(BASE) --tag $(IMAGE) .

# Newer releases within the bounds of pyproject.toml: look at the difference before it is committed.
LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --only-binary :all: --generate-hashes \
	--no-annotate --no-emit-index-url --custom-compile-command 'make lock'
lock: $(RELEASE)
	$(LOCK) pyproject.toml --output-file $(LOCKS)/runtime.txt
	$(LOCK) pyproject.toml --extra gateway --constraint $(LOCKS)/runtime.txt --output-file $(LOCKS)/gateway.txt
	$(LOCK) pyproject.toml --extra ingest --constraint $(LOCKS)/gateway.txt --output-file $(LOCKS)/ingest.txt
	$(LOCK) pyproject.toml --extra identity --constraint $(LOCKS)/ingest.txt --output-file $(LOCKS)/identity.txt
	$(LOCK) $(LOCKS)/build.in --constraint $(LOCKS)/runtime.txt --output-file $(LOCKS)/build.txt
	$(LOCK) pyproject.toml --extra dev --constraint $(LOCKS)/gateway.txt --constraint $(LOCKS)/ingest.txt --constraint $(LOCKS)/identity.txt --constraint $(LOCKS)/build.txt --output-file $(LOCKS)/dev.txt
	$(LOCK) pyproject.toml --extra fuzz --constraint $(LOCKS)/runtime.txt --constraint $(LOCKS)/build.txt --output-file $(LOCKS)/fuzz.txt
	$(LOCK) pyproject.toml --extra release --constraint $(LOCKS)/dev.txt --constraint $(LOCKS)/build.txt --output-file $(LOCKS)/release.txt

# dist/: wheel, source, the CycloneDX bill of materials of what the wheel needs, and the digests of all three.
release: $(RELEASE)
	rm -rf dist
	$(BIN)/hatchling build
	$(BIN)/cyclonedx-py requirements $(LOCKS)/runtime.txt --pyproject pyproject.toml --mc-type application \
		--output-reproducible --output-format JSON --output-file dist/diode.cdx.json
	cd dist && sha256sum -- * > ../SHA256SUMS.new && mv ../SHA256SUMS.new SHA256SUMS

VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
tag:
	@grep -q '^## $(VERSION) ' CHANGELOG.md || { echo 'CHANGELOG.md has no section for $(VERSION)'; exit 1; }
	@test -z "$$(git status --porcelain)" || { echo 'commit first: a tag names what is committed'; exit 1; }
	git tag --sign --message 'diode $(VERSION)' 'v$(VERSION)'

# The containers run as whoever owns these folders, and never as root.
compose-init: $(RUNTIME)
	$(BIN)/diode init pair pair --to diode:9000 --listen 0.0.0.0:9001 --rate 50M
	printf '\n[channels.weights]\nserve = ["hub"]\n' >> pair/receiver/receiver.toml
	mkdir -p outbox/weights inbox index gateway-log
	test "$$(id -u)" != 0 || chown -R 10001:10001 pair outbox inbox index gateway-log
	stat --printf 'DIODE_UID=%u\nDIODE_GID=%g\n' inbox > .env

clean:
	rm -rf $(VENV) $(CORE) build dist wheelhouse htmlcov .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz
