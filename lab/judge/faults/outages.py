"""Faults that show when a part dies, freezes or is cut off."""

from lab.judge.planted import BySoak, Change, Planted, planted, tests

_GIVEN_UP = "tests/activities/restic/test_given_up.py"
_RPC_KILLED = "tests/faults/test_rpc_killed.py"
_DELIVERED_AGAIN = "test_a_call_that_was_carried_out_but_not_answered_is_delivered_again_and_answered_rightly"
_RABBITMQ = "tests/faults/test_rabbitmq_restarted.py"
_DEAD_CONNECTION = "test_it_connects_anew_when_its_connection_is_dead_though_nobody_ended_it"
_BROKER = "rpc_service/broker.py"
_KILLER = "tests/lab/soak/test_killer.py"
_SESSION = "activities/restic/session.py"

PLANTED: tuple[Planted, ...] = (
    planted(
        "a process that hung carries out calls that another one has carried out since",
        _BROKER,
        "if asleep > self._may_hang:",
        "if False:",
        tests(
            "tests/rpc_service/test_broker.py::"
            "test_a_process_that_hung_carries_out_no_call_that_the_broker_gave_to_another_one"
        ),
    ),
    planted(
        "a job whose timer is gone stays paused",
        "activities/all_jobs.py",
        "            await self._end_pause(job, clock())\n",
        "",
        tests("tests/activities/test_all_jobs.py::test_a_job_whose_pause_should_be_over_is_resumed"),
    ),
    planted(
        "restic begins while Temporal is away",
        _SESSION,
        "        await self._attempt.confirm()\n        self._attempt.step",
        "        self._attempt.step",
        tests("tests/faults/test_temporal_away.py"),
    ),
    planted(
        "restic begins in an attempt that was given up",
        "activities/attempts.py",
        '                raise ApplicationError("Temporal has given this attempt up", type="GivenUp") from None\n',
        "                return\n",
        tests("tests/activities/test_telling.py::test_an_attempt_that_temporal_gave_up_learns_it"),
    ),
    planted(
        "restic begins in an attempt that is to be cancelled",
        "activities/attempts.py",
        "        except AsyncActivityCancelledError:\n            pass\n",
        "        except AsyncActivityCancelledError:\n            return\n",
        tests("tests/activities/test_telling.py::test_an_attempt_that_is_to_be_cancelled_waits_for_that"),
    ),
    planted(
        "a restic that Temporal never learnt of goes on",
        _SESSION,
        "unknown.reschedule(asyncio.get_running_loop().time() + KNOWN_WITHIN.total_seconds())",
        "pass",
        tests(f"{_GIVEN_UP}::test_a_restic_that_temporal_does_not_learn_of_is_ended"),
    ),
    planted(
        "the attempt after a lost one begins at once, beside the lost one's restic",
        "workflows/engines.py",
        "initial_interval=timedelta(seconds=15),",
        "initial_interval=timedelta(milliseconds=1),",
        tests(f"{_GIVEN_UP}::test_the_next_attempt_begins_when_a_restic_that_nobody_knows_of_was_ended"),
    ),
    planted(
        "the next attempt leaves the restic of a lost one alone",
        "activities/restic/aftermath.py",
        "            if fate(restic) is Fate.ALIVE:\n",
        "            if False:\n",
        tests("tests/activities/restic/test_locks.py::test_a_restic_of_ours_that_is_still_at_work_is_ended_first"),
    ),
    planted(
        "restic goes on when its worker was killed",
        "activities/restic/minder.py",
        "    broken.register(lifeline, select.POLLIN)\n",
        "",
        tests("tests/activities/restic/test_locks.py::test_a_restic_with_file_capabilities_ends_with_its_worker"),
    ),
    planted(
        "a backup whose worker died is not made again for an hour",
        "workflows/engines.py",
        "            heartbeat_timeout=HEARTBEAT_TIMEOUT,",
        "            heartbeat_timeout=timedelta(hours=1),",
        tests("tests/faults/test_worker_killed.py"),
    ),
    Planted(
        "a call is acknowledged before it is carried out",
        (
            Change(
                "rpc_service/entrypoint.py",
                "        super().handle_message(body, message)\n\n    def handle_result",
                "        self.queue_consumer.ack_message(message)\n"
                "        super().handle_message(body, message)\n\n    def handle_result",
            ),
            Change(
                _BROKER, "                self._consumer.ack_message(self._message)\n        except", "        except"
            ),
        ),
        tests(f"{_RPC_KILLED}::test_killing_rpc_services_under_load_loses_and_doubles_nothing"),
    ),
    planted(
        "a call that is delivered again is taken for a new one",
        "rpc_service/entrypoint.py",
        "            context[AMQP_REQUEST_ID] = ",
        "            context[REDELIVERED] = ",
        tests(f"{_RPC_KILLED}::{_DELIVERED_AGAIN}"),
    ),
    planted(
        "nobody says that a call was delivered before",
        "rpc_service/entrypoint.py",
        'context[REDELIVERED] = bool(message.delivery_info.get("redelivered"))',
        "context[REDELIVERED] = False",
        tests(f"{_RPC_KILLED}::{_DELIVERED_AGAIN}"),
    ),
    planted(
        "an RPC process leaves before the calls that it has are answered",
        _BROKER,
        "        if not self._consumers and not self._unsettled:\n",
        "        if not self._consumers:\n",
        tests("tests/rpc_service/test_process.py::test_calls_in_flight_are_answered_before_it_leaves"),
    ),
    planted(
        "an RPC process without a broker does not leave",
        _BROKER,
        "            raise QueueConsumerStopped\n",
        "            pass\n",
        tests(f"{_RABBITMQ}::test_it_leaves_while_rabbitmq_is_down"),
    ),
    planted(
        "a call whose answers the broker does not take comes again for ever",
        _BROKER,
        "return self._replies.get(request_id, 0) >= MOST_REPLIES",
        "return False",
        tests("tests/rpc_service/test_broker.py::test_a_call_whose_answers_all_come_to_nothing_is_dropped"),
    ),
    planted(
        "a call whose greenlet was killed goes on",
        "rpc_service/bridge.py",
        "            loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])\n",
        "",
        tests("tests/rpc_service/test_bridge.py::test_a_greenlet_that_is_killed_cancels_its_coroutine"),
    ),
    planted(
        "a worker that is stopped hands its backups to nobody",
        "activities/attempts.py",
        "            if details is None or not details.worker_shutdown:\n",
        "            if True:\n",
        tests(
            "tests/worker/test_process.py::test_a_worker_that_is_stopped_hands_its_backup_over_and_leaves_with_code_0"
        ),
    ),
    planted(
        "an RPC process waits for ever for a broker that says nothing on a dead connection",
        "rpc_service/presence.py",
        "with writing, Timeout(_LONGEST_ANSWER, ",
        "with writing, Timeout(None, ",
        tests(f"{_RABBITMQ}::{_DEAD_CONNECTION}"),
    ),
    planted(
        "an RPC process waits for ever for the end of a dead connection",
        _BROKER,
        "                transport.collect()",
        "                pass",
        tests(f"{_RABBITMQ}::{_DEAD_CONNECTION}"),
    ),
    Planted(
        "an RPC process that Temporal did not answer once never asks it again, while another one works on",
        (
            Change(
                "rpc_service/calls.py",
                "            reply = success(self._wait_for(act(self._gateway, arguments)))\n",
                '            if getattr(Call, "lost", None):\n'
                "                raise Call.lost\n"
                "            reply = success(self._wait_for(act(self._gateway, arguments)))\n",
            ),
            Change(
                "rpc_service/calls.py",
                "            reply = fail(error.code, str(error))\n",
                "            reply = fail(error.code, str(error))\n"
                "            if error.code in (503, 504):\n"
                "                Call.lost = error\n",
            ),
        ),
        BySoak(
            "rpc: the stack did not recover",
            ("--minutes=3", "--seed=1", "--every=5", "--faults=1", "--only=rpc-2|temporal partition", "--slowness=0.2"),
        ),
    ),
    planted(
        "a soak takes a stack for recovered though one of its processes is idle",
        "lab/soak/processes.py",
        "min(latest) > since",
        "max(latest) > since",
        tests(_KILLER),
    ),
    planted(
        "a soak waits for ever for a process that does not end",
        "lab/soak/killer.py",
        "            if time.time() > deadline:\n                self.complaints.append(f\"{step}: {', '",
        "            if False:\n                self.complaints.append(f\"{step}: {', '",
        tests(f"{_KILLER}::test_a_process_that_was_told_to_end_and_does_not_is_complained_of_and_killed"),
    ),
    planted(
        "an RPC process that is to end waits for ever for a broker that does not answer",
        _BROKER,
        "        spawn_after(_LEAVES_AFTER, ",
        "        spawn_after(10 * _LEAVES_AFTER, ",
        tests(f"{_RABBITMQ}::test_it_leaves_while_rabbitmq_does_not_answer"),
    ),
    planted(
        "a way between machines that is cut stays open",
        "lab/cluster/network.py",
        '        self._route("add")\n',
        "        pass\n",
        tests("tests/lab/cluster/test_network.py"),
    ),
    planted(
        "any two runs at once are excused by a split",
        "lab/soak/audit.py",
        "        run.start.timestamp() <= ended and (",
        "        True or (",
        tests("tests/lab/soak/test_audit.py"),
    ),
    planted(
        "any answer is excused by a split",
        "lab/soak/job.py",
        " and _any_fits(self, past, reply, removed)\n",
        "\n",
        tests("tests/lab/soak/test_answers.py"),
    ),
    planted(
        "a process that was not upgraded is not noticed",
        "lab/cluster/upgrade.py",
        '(process / "cwd").resolve() == self._earlier.resolve()',
        "False",
        tests("tests/lab/cluster/test_upgrade.py"),
    ),
    planted(
        "a drill of a restored database misses backups that are lost",
        "lab/soak/restore.py",
        "lost=sum(not backups[each] for each in ids),",
        "lost=0,",
        tests("tests/lab/soak/test_restore.py"),
    ),
    planted(
        "a pass goes by the clock of the worker",
        "activities/all_jobs.py",
        "    started, began = activity.info().started_time, time.monotonic()",
        "    started, began = datetime.now().astimezone(), time.monotonic()",
        tests("tests/activities/test_all_jobs.py::test_a_job_moves_by_the_clock_of_temporal_not_by_that_of_the_worker"),
    ),
    planted(
        "a job that looks paused is not paused",
        "rpc_service/gateway/changes.py",
        "await stored.look(self._clock()) or await intact(stored)\n        before = seen\n",
        "await stored.look(self._clock()) or await intact(stored)\n        if seen.paused is paused:\n"
        "            return await intact(stored)\n        before = seen\n",
        tests(
            "tests/rpc_service/test_pause_and_resume.py::test_a_job_that_looks_as_it_should_be_is_switched_all_the_same"
        ),
    ),
    planted(
        "a soak freezes nothing any more",
        "lab/soak/faults.py",
        "[*_kills(random, site), *frozen[1:], *later_cut]",
        "[*_kills(random, site), *later_cut]",
        tests("tests/lab/soak/test_faults.py"),
    ),
    planted(
        "what a soak cuts off is not cut off",
        "lab/parts/relay.py",
        "        self._passing.clear()\n\n    def lose",
        "        pass\n\n    def lose",
        tests("tests/lab/soak/test_relay.py"),
    ),
)
