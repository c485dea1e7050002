# Each command sets up what it needs by itself (devstack/setup.sh); `make` alone lists them.

PYTHON_IN_VENV := .venv/bin/python
CODE := backup_scheduler workflows activities rpc_service backupctl devstack lab worker.py tests

CLUSTER_PROGRAMS := $(addprefix lab/cluster/tools/,temporal-server temporal-ui tctl)
ON_A_CLUSTER := tests/test_end_to_end.py tests/test_runs_under_way.py tests/rpc_service/test_methods.py \
	tests/rpc_service/test_gateway.py tests/rpc_service/test_pause_and_resume.py tests/rpc_service/test_lists.py \
	tests/rpc_service/test_pages.py tests/rpc_service/test_pauses.py tests/rpc_service/test_bulk.py \
	tests/rpc_service/test_bulk_delivered_again.py tests/rpc_service/test_runs_at_their_time.py \
	tests/rpc_service/test_resumed_in_window.py tests/rpc_service/test_run_pages.py \
	tests/rpc_service/test_checkup.py tests/rpc_service/test_previews.py tests/rpc_service/test_reports.py \
	tests/rpc_service/test_broken_jobs.py tests/rpc_service/test_runs.py tests/rpc_service/test_runs_once.py \
	tests/rpc_service/test_delivered_again.py tests/rpc_service/test_namespaces.py tests/rpc_service/test_broker.py \
	tests/rpc_service/test_call_queue.py
OPERATED := tests/docs/test_operations.py tests/docs/test_people.py tests/docs/test_tctl.py \
	tests/deploy/test_rights.py tests/deploy/test_operators_rights.py tests/deploy/test_client_certificates.py

.DEFAULT_GOAL := help
.PHONY: help setup check style types quick-tests demo compose-test cluster test test-lab test-web-ui test-restic cluster-programs test-cluster test-operated drills soak bench bench-cluster judge mutants lint format up lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install missing Debian packages, and the locked Python packages into .venv (PYTHON= picks the interpreter)
	@PYTHON="$(PYTHON)" devstack/setup.sh

check: setup ## lint, and run the tests that start no program, replay and architecture among them; under 30 s
	@$(MAKE) --no-print-directory --jobs --output-sync style types quick-tests

demo: setup ## run the main job end to end with backupctl: add a job, run it, restore its snapshot, change and remove it
	@$(PYTHON_IN_VENV) -m devstack demo

test: setup ## run all tests but those of test-lab and test-web-ui, in four processes (ARGS= passes options to pytest; -n 0: in one)
	@$(PYTHON_IN_VENV) -m pytest -n 4 -m "not lab and not web_ui" $(ARGS)

test-lab: cluster-programs ## run a short soak and tiny benchmarks, one of them on a cluster
	@$(PYTHON_IN_VENV) -m pytest -n 0 --cluster -m lab tests/lab $(ARGS)

test-web-ui: ## look at jobs and runs in Temporal's Web UI with a browser, Debian's Chromium (ARGS= as above)
	@devstack/setup.sh browser
	@$(PYTHON_IN_VENV) -m pytest -n 0 -m web_ui $(ARGS) tests/web_ui

test-restic: setup ## run the tests of the restic engine with newer releases of restic, built from source (ARGS= as above)
	@tests/restic/test.sh $(ARGS)

cluster: ## run a cluster until Ctrl-C: PostgreSQL, three Temporal nodes, three RabbitMQ nodes, TLS everywhere (docs/cluster.md)
	@devstack/setup.sh cluster
	@$(PYTHON_IN_VENV) -m lab.cluster up

compose-test: ## run temporal-dev.yml in containers of an engine of its own, as root; ten minutes the first time
	@devstack/compose-test.sh

cluster-programs:
	@devstack/setup.sh cluster
	@$(PYTHON_IN_VENV) -m lab.parts.go_tools $(CLUSTER_PROGRAMS) >/dev/null # minutes, which no test has

test-cluster: cluster-programs ## run tests of RPC methods, runs and broker on a cluster, and a short soak there (ARGS= as above)
	@$(PYTHON_IN_VENV) -m pytest -n 0 --cluster $(ARGS) $(ON_A_CLUSTER)
	@$(PYTHON_IN_VENV) -m lab.soak --cluster --minutes 2 --every 12 --seed $(or $(SEED),1)

test-operated: cluster-programs ## operate a cluster as the documentation says: its commands, also with tctl, rights and certificates (ARGS= as above)
	@$(PYTHON_IN_VENV) -m pytest -n 0 --cluster $(ARGS) $(OPERATED)
	@$(PYTHON_IN_VENV) -m pytest -n 0 --tctl -m tctl $(ARGS) tests/docs

drills: ## on a cluster: wrong clocks, an upgrade of Temporal and of this project, nodes that cannot reach each other, a restored database
	@devstack/setup.sh cluster
	@$(PYTHON_IN_VENV) -m lab.soak --cluster --minutes 2 --every 15 --seed 1 --clock 600 --only worker-3
	@$(PYTHON_IN_VENV) -m lab.soak --cluster --minutes 2 --every 15 --seed 4 --clock=-600 --only worker-3
	@$(PYTHON_IN_VENV) -m lab.soak --cluster --minutes 3.5 --every 5 --upgrade-from $(or $(FROM),HEAD~1)
	@$(PYTHON_IN_VENV) -m lab.soak --cluster --minutes 4 --every 5 --split
	@$(PYTHON_IN_VENV) -m lab.soak.restore

soak: setup ## kill, freeze and cut off parts of a stack under load for MINUTES (10), then look for what was lost or doubled; SEED repeats one
	@$(PYTHON_IN_VENV) -m lab.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: setup ## measure beside the bare SDK and the replaced service, in about half an hour (ARGS= picks benchmarks)
	@$(PYTHON_IN_VENV) -m lab.bench $(ARGS)

bench-cluster: ## measure on a cluster, beside the bare SDK, in about half an hour (ARGS= picks benchmarks; --most-jobs 30000)
	@devstack/setup.sh cluster
	@$(PYTHON_IN_VENV) -m lab.bench --cluster --most-jobs 10000 $(ARGS)

judge: ## plant faults in copies of the project, and see that a test or the soak catches each (ARGS= picks them)
	@devstack/setup.sh browser
	@$(PYTHON_IN_VENV) -m lab.judge $(ARGS)

mutants: setup ## change one node of the middle or of an engine at a time, and see that a test of its module notices (ARGS= as for judge)
	@$(PYTHON_IN_VENV) -m lab.mutants $(ARGS)

lint: setup style types ## check style and types

style:
	$(PYTHON_IN_VENV) -m ruff check $(CODE)
	$(PYTHON_IN_VENV) -m ruff format --check $(CODE)

types:
	$(PYTHON_IN_VENV) -m mypy $(CODE)

quick-tests:
	@$(PYTHON_IN_VENV) -m pytest -n 0 -q --no-programs --timeout 20

format: setup ## put the code into its one format
	$(PYTHON_IN_VENV) -m ruff check --fix $(CODE)
	$(PYTHON_IN_VENV) -m ruff format $(CODE)

up: setup ## run the services until Ctrl-C; SCHEDULER_STATE_DIR (.state) keeps their data
	@$(PYTHON_IN_VENV) -m devstack up

lock: setup ## bring requirements.lock, and its part that production needs, up to date with pyproject.toml
	$(PYTHON_IN_VENV) -m pip --disable-pip-version-check --quiet install uv
	.venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --group dev --group bench pyproject.toml -o requirements.lock
	.venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --constraint requirements.lock pyproject.toml -o deploy/requirements.lock

clean: ## remove .venv, caches and the data of `make up`
	rm -rf .venv .state .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
