"""Faults in the benchmarks: figures that flatter, and losses that nobody counts."""

from lab.judge.planted import Planted, planted, tests

_TESTS = "tests/lab/bench"
_BARE = f"{_TESTS}/test_bare.py"
_CALLS = f"{_TESTS}/test_calls_tables.py"
_FIGURES = f"{_TESTS}/test_figures.py"
_LISTS = f"{_TESTS}/test_lists.py"
_LOSSES = f"{_TESTS}/test_losses.py"
_ONE_RUN = f"{_TESTS}/test_one_run.py"
_PARTS = f"{_TESTS}/test_parts.py"
_SUPPLY = f"{_TESTS}/test_supply.py"
_TURNS = f"{_TESTS}/test_turns.py"

PLANTED: tuple[Planted, ...] = (
    planted(
        "bench: the table of bursts has a zero for what was lost",
        "lab/bench/burst.py",
        "str(sum(each.lost for each in outcomes)),",
        '"0",',
        tests(f"{_LOSSES}::test_the_table_of_bursts_adds_up_what_each_system_lost_and_doubled"),
    ),
    planted(
        "bench: what the peer loses is not counted",
        "lab/bench/due_at_once.py",
        "lost=len(batch.ids) - len(firsts),",
        "lost=len(batch.ids) - len(firsts) if system == OURS else 0,",
        tests(f"{_LOSSES}::test_jobs_without_a_backup_are_lost"),
    ),
    planted(
        "bench: runs that Temporal started twice are not counted",
        "lab/bench/due_at_once.py",
        "started_twice=None if runs is None else max(0, runs - len(batch.ids)),",
        "started_twice=None if runs is None else 0,",
        tests(f"{_LOSSES}::test_backups_beyond_one_for_each_job_are_made_twice"),
    ),
    planted(
        "bench: what was backed up twice after an outage is left out",
        "lab/bench/outage.py",
        "repeated=outcome.repeated,",
        "repeated=0,",
        tests(f"{_LOSSES}::test_the_table_of_outages_shows_what_each_system_lost_and_doubled"),
    ),
    planted(
        "bench: ours is measured first in every round",
        "lab/bench/turns.py",
        "for system in rotated(systems, number):",
        "for system in systems:",
        tests(f"{_TURNS}::test_each_round_begins_with_another_system"),
    ),
    planted(
        "bench: who has no turn goes on",
        "lab/bench/turns.py",
        "return {pid for each in systems if each is not system for pid in each.processes()} - own",
        "return own - own",
        tests(f"{_TURNS}::test_who_has_no_turn_is_frozen_and_what_two_systems_share_is_not"),
    ),
    planted(
        "bench: a benchmark has a loop of its own, in which ours is always first",
        "lab/bench/outage.py",
        "list(in_turns(plan, systems))",
        "[each for number in plan.each_round() for system in systems for each in system.measure(number)]",
        tests(f"{_TURNS}::test_no_benchmark_counts_rounds_by_itself"),
    ),
    planted(
        "bench: our stack runs while the peer has its burst",
        "lab/bench/burst.py",
        "processes=lambda: ours.processes(stack))]",
        "processes=no_processes)]",
        tests(f"{_TESTS}/test_benchmarks.py::test_a_tiny_run_leaves_figures_and_a_chart[burst-0]"),
    ),
    planted(
        "bench: a process that is to stand still goes on",
        "lab/bench/processes.py",
        "                process.suspend()\n                stopped.append(process)\n",
        "                process.status()\n",
        tests(f"{_TURNS}::test_a_frozen_process_uses_no_time_and_goes_on_afterwards"),
    ),
    planted(
        "bench: a p99 of fifteen calls is shown",
        "lab/bench/figures.py",
        "if len(values) < samples_for(share):",
        "if not values:",
        tests(f"{_FIGURES}::test_a_percentile_of_too_few_samples_is_refused"),
    ),
    planted(
        "bench: a rate of half a second is shown",
        "lab/bench/calls_tables.py",
        "return cells if enough and all(cell.seconds >= AT_LEAST.seconds for cell in cells) else []",
        "return cells if enough else []",
        tests(f"{_CALLS}::test_a_rate_of_too_short_a_measurement_is_not_shown"),
    ),
    planted(
        "bench: a cell is measured for half a second when it has its calls by then",
        "lab/bench/supply.py",
        "return seconds >= self.seconds and operations >= self.operations",
        "return operations >= self.operations",
        tests(f"{_SUPPLY}::test_a_measurement_ends_when_both_its_seconds_and_its_operations_are_reached"),
    ),
    planted(
        "bench: a latency is taken without waiting for the answer",
        "lab/bench/supply.py",
        "    began = time.perf_counter()\n    operation()\n    return time.perf_counter() - began",
        "    began = time.perf_counter()\n    waited = time.perf_counter() - began\n    operation()\n    return waited",
        tests(f"{_SUPPLY}::test_a_latency_is_the_whole_time_until_the_answer"),
    ),
    planted(
        "bench: a call that failed counts as a fast one",
        "lab/bench/callers.py",
        'if reply["code"] != 200:',
        "if not reply:",
        tests(f"{_PARTS}::test_a_call_that_fails_is_not_measured"),
    ),
    planted(
        "bench: the bare SDK is slowed down by a conversion that ours skips",
        "lab/bench/bare.py",
        '    "get": describe,',
        '    "get": _get_converted,',
        tests(f"{_BARE}::test_the_bare_sdk_converts_no_answer_that_ours_reads_as_it_is"),
    ),
    planted(
        "bench: the bare SDK reads all settings for each job, which ours does not",
        "lab/bench/jobs.py",
        "schedule_for(where, QUEUE, request_id),",
        "schedule_for(where, Settings().task_queue, request_id),",
        tests(f"{_BARE}::test_the_bare_sdk_reads_no_settings_for_a_call"),
    ),
    planted(
        "bench: the bare SDK makes more requests than ours",
        "lab/bench/bare.py",
        "async def _remove(client: Client, scheduler_id: str) -> None:\n",
        "async def _remove(client: Client, scheduler_id: str) -> None:\n    await describe(client, scheduler_id)\n",
        tests(f"{_BARE}::test_the_bare_sdk_makes_the_same_requests_as_ours"),
    ),
    planted(
        "bench: a limit of rates, which is exceeded, instead of one of CPU time",
        "lab/bench/calls_tables.py",
        "return {number: self.cores / (sdk[number] + calls * empty[number])",
        'rate, nothing = self.rates(SDK, operation), self.rates(EMPTY, "nothing")\n'
        "        return {number: 1 / (1 / rate[number] + calls / nothing[number])",
        tests(f"{_CALLS}::test_the_limit_is_the_cores_divided_by_the_cpu_time_of_the_requests_and_of_an_empty_call"),
    ),
    planted(
        "bench: the peer has ten threads, whatever is said",
        "lab/bench/peer/scheduler.py",
        "ThreadPoolExecutor(threads)",
        "ThreadPoolExecutor(10)",
        tests(f"{_PARTS}::test_the_peer_makes_as_many_backups_at_once_as_it_is_told"),
    ),
    planted(
        "bench: a list that lacks jobs counts as a fast one",
        "lab/bench/growth.py",
        "return seconds if listed == expected else None",
        "return seconds",
        tests(f"{_PARTS}::test_a_list_that_lacks_jobs_is_not_measured"),
    ),
    planted(
        "bench: a page that lacks jobs counts as a fast one",
        "lab/bench/lists.py",
        "if len(entries) != question.entries:",
        "if len(entries) > question.entries:",
        tests(f"{_LISTS}::test_an_answer_with_another_number_of_entries_is_not_measured"),
    ),
    planted(
        "bench: the goal of pages is that of the fastest kind of them",
        "lab/bench/goals.py",
        "for question in (*questions.PAGES, questions.OVERDUE)",
        "for question in questions.PAGES[1:2]",
        tests(f"{_LISTS}::test_the_goals_are_those_of_the_most_jobs_and_of_each_kind_of_page"),
    ),
    planted(
        "bench: runs that are listed lack what a run of the worker tells",
        "lab/bench/many_runs.py",
        "                memo=model.memo,\n",
        "",
        tests(f"{_TESTS}/test_many_runs.py::test_copies_are_listed_and_described_like_runs_of_the_worker"),
    ),
    planted(
        "bench: a run is cheap because it was lost",
        "lab/bench/one_run.py",
        "if outcome.lost or outcome.repeated or outcome.started_twice:",
        "if outcome.repeated or outcome.started_twice:",
        tests(f"{_ONE_RUN}::test_a_round_with_more_or_fewer_runs_or_backups_is_not_measured"),
    ),
    planted(
        "bench: a backup without files counts as a fast one",
        "lab/bench/backups.py",
        "if saved != places.bytes_of(data):",
        "if saved < 0:",
        tests(f"{_PARTS}::test_a_backup_that_lacks_files_is_not_measured"),
    ),
    planted(
        "bench: a goal counts as met when it was met in one round",
        "lab/bench/goals.py",
        "if values and count == len(values) else",
        "if values and count else",
        tests(f"{_TESTS}/test_goals.py::test_a_verdict_counts_the_rounds_of_each_figure"),
    ),
)
