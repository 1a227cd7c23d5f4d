"""The worker's two modes: process jobs until a signal, or check that everything loads and runs."""

import logging
import socket
import sys
from functools import partial

from app import log
from app.config import EXIT_CONFIG, ConfigError, WorkerSettings, load
from app.store import STORE_COMMAND_SECONDS, connect
from worker import assess, node, npm_diff, summarize
from worker.child import Children
from worker.failure import ReviewError
from worker.heartbeat import MAX_SILENCE_SECONDS, Heartbeat
from worker.llm import LlmSettings
from worker.loop import Loop
from worker.policy import policy
from worker.queue import Queue
from worker.review import MAX_WRITE_ATTEMPTS, WRITE_RETRY_SECONDS, Reviewer
from worker.stop import StopSignal

logger = logging.getLogger("worker")
LLM_TIMEOUT_SECONDS = 30.0
MAX_WRITE_SECONDS = MAX_WRITE_ATTEMPTS * (STORE_COMMAND_SECONDS + WRITE_RETRY_SECONDS)
MAX_JOB_SECONDS = (
    npm_diff.TIMEOUT_SECONDS
    + assess.BOUNDS.seconds
    + LLM_TIMEOUT_SECONDS
    + summarize.START_SECONDS
    + MAX_WRITE_SECONDS
)
"""Longest duration of a job: the sum of its parts' own limits."""


def run(stop: StopSignal) -> int:
    """Process jobs until `stop` is requested, and return the exit status.

    Returns:
        0 after a stop request, 1 if Node cannot run, 2 if the configuration is invalid. The last
        two print one line on stderr.
    """
    try:
        settings = load(WorkerSettings)
        settings.require_llm()
        node_version = node.version()
    except ConfigError as error:
        print(f"configuration: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except node.NodeError as error:
        print(f"worker: {error}", file=sys.stderr)
        return 1
    log.configure(settings.log_level, settings.secrets())
    heartbeat = Heartbeat()
    # The container's id. It stays the same after a restart, so Redis gets no new consumer.
    worker_name = socket.gethostname()
    logger.info(
        "worker started",
        extra={
            "worker": worker_name,
            "poll_interval": settings.worker_poll_interval,
            "heartbeat": str(heartbeat.path),
            "heartbeat_bound": MAX_SILENCE_SECONDS,
            "policy_threshold": settings.policy_threshold,
            "llm_provider": settings.llm_provider,
            "node": node_version,
        },
    )
    llm = LlmSettings(
        provider=settings.llm_provider,
        model=settings.llm_model or None,
        api_key=settings.llm_api_key,
        base_url=settings.llm_base_url,
        timeout=LLM_TIMEOUT_SECONDS,
    )
    queue = Queue(connect(settings.effective_store_url), worker_name, policy=policy(settings))
    Loop(
        queue=queue,
        process=_reviewer(settings, llm, queue, stop),
        max_job_seconds=MAX_JOB_SECONDS,
        heartbeat=heartbeat,
        poll_interval=settings.worker_poll_interval,
        stop=stop,
    ).run()
    logger.info("worker stopped")
    return 0


def _reviewer(
    settings: WorkerSettings, llm: LlmSettings, queue: Queue, stop: StopSignal
) -> Reviewer:
    registry = settings.artifactory_url
    token = settings.artifactory_token
    return Reviewer(
        queue=queue,
        stop=stop,
        compare=partial(
            npm_diff.fetch_diff,
            registry=str(registry.get_secret_value()) if registry else None,
            token=token.get_secret_value() if token else None,
            hosts=settings.tarball_hosts(),
        ),
        start_assessor=assess.Assessor(for_llm=llm.provider != "none").start,
        summarize=summarize.Summarizer(llm),
        threshold=settings.policy_threshold,
    )


def check() -> int:
    """Load all modules, run Node and the diff program, print "ok": the image's smoke test.

    Needs no network, no configuration and no writable folder.

    Returns:
        0, or 1 with one line on stderr if Node or the diff program does not run.
    """
    from worker import (  # noqa: F401 - checks that they load
        assess_child,
        probe,
        selftest,
        summarize_child,
    )

    try:
        node.version()
        npm_diff.send_request(Children(), {"package": None}, timeout=10)
    except node.NodeError as error:
        return _fail(str(error))
    except ReviewError as error:
        if error.code != "bad_request":  # the expected answer to this invalid request
            return _fail(str(error))
    print("ok")
    return 0


def _fail(reason: str) -> int:
    print(f"worker: {reason}", file=sys.stderr)
    return 1
