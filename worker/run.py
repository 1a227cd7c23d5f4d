"""What ``python -m worker`` does: work until a signal, or check that it could."""

import logging
import sys

from app import log
from app.config import EXIT_CONFIG, ConfigError, WorkerSettings, load
from app.jobs import EmptyQueue, Job
from worker import differ, node
from worker.heartbeat import BOUND_SECONDS, Heartbeat
from worker.loop import Loop
from worker.stop import StopSignal

logger = logging.getLogger("worker")


def run(stop: StopSignal) -> int:
    """Work until `stop` is requested, and return the exit status.

    0 when asked to stop, 1 when Node cannot be run, 2 when the configuration is wrong; the last
    two with one line on stderr.
    """
    try:
        settings = load(WorkerSettings)
        node_version = node.version()
    except ConfigError as error:
        print(f"configuration: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except node.NodeError as error:
        print(f"worker: {error}", file=sys.stderr)
        return 1
    log.configure(settings.log_level, settings.secrets())
    heartbeat = Heartbeat()
    logger.info(
        "worker started",
        extra={
            "poll_interval": settings.worker_poll_interval,
            "heartbeat": str(heartbeat.path),
            "heartbeat_bound": BOUND_SECONDS,
            "policy_threshold": settings.policy_threshold,
            "llm_provider": settings.llm_provider,
            "node": node_version,
        },
    )
    Loop(
        queue=EmptyQueue(),
        work=_review,
        job_limit=differ.TIMEOUT_SECONDS,
        heartbeat=heartbeat,
        poll_interval=settings.worker_poll_interval,
        stop=stop,
    ).run()
    logger.info("worker stopped")
    return 0


def check() -> int:
    """Load everything, run Node and its program, print "ok"; the smoke test of the image.

    Needs no network, no setting and no folder to write to. Returns 1, with one line on stderr,
    when Node or its program does not run.
    """
    from worker import probe, selftest  # noqa: F401 - that they load is what is checked

    try:
        node.version()
        differ.ask({"from": None, "to": None}, timeout=10)
    except node.NodeError as error:
        return _fail(str(error))
    except differ.DiffError as error:
        if error.code != "bad_request":  # the answer of a program that runs
            return _fail(str(error))
    print("ok")
    return 0


def _fail(reason: str) -> int:
    print(f"worker: {reason}", file=sys.stderr)
    return 1


def _review(job: Job) -> None:
    """Refuse: no job can come yet, see EmptyQueue."""
    raise NotImplementedError(f"job {job.id}: this worker cannot review yet")
