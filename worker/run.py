"""What ``python -m worker`` does: work until a signal, or check that it could."""

import logging
import socket
import sys
from functools import partial

from app import log
from app.config import EXIT_CONFIG, ConfigError, WorkerSettings, load
from app.store import TIMEOUT_SECONDS as STORE_SECONDS
from app.store import connect
from worker import node, npm_diff
from worker.heartbeat import BOUND_SECONDS, Heartbeat
from worker.llm import Llm, summarize
from worker.loop import Loop
from worker.queue import Queue
from worker.review import WRITE_SECONDS, WRITES, Reviewer
from worker.stop import StopSignal

logger = logging.getLogger("worker")
LLM_SECONDS = 30.0
JOB_LIMIT = (
    npm_diff.TIMEOUT_SECONDS + LLM_SECONDS + WRITES * (2 * STORE_SECONDS + WRITE_SECONDS) + 5
)
"""Seconds that a job takes at most: each part has a bound of its own."""


def run(stop: StopSignal) -> int:
    """Work until `stop` is requested, and return the exit status.

    0 when asked to stop, 1 when Node cannot be run, 2 when the configuration is wrong; the last
    two with one line on stderr.
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
    # The container's id: one that is started again goes on under the name that Redis knows.
    name = socket.gethostname()
    logger.info(
        "worker started",
        extra={
            "worker": name,
            "poll_interval": settings.worker_poll_interval,
            "heartbeat": str(heartbeat.path),
            "heartbeat_bound": BOUND_SECONDS,
            "policy_threshold": settings.policy_threshold,
            "llm_provider": settings.llm_provider,
            "node": node_version,
        },
    )
    queue = Queue(connect(settings.store), name)
    Loop(
        queue=queue,
        work=_reviewer(settings, queue, stop),
        job_limit=JOB_LIMIT,
        heartbeat=heartbeat,
        poll_interval=settings.worker_poll_interval,
        stop=stop,
    ).run()
    logger.info("worker stopped")
    return 0


def _reviewer(settings: WorkerSettings, queue: Queue, stop: StopSignal) -> Reviewer:
    registry = settings.artifactory_url
    token = settings.artifactory_token
    llm = Llm(
        provider=settings.llm_provider,
        model=settings.llm_model or None,
        api_key=settings.llm_api_key,
        base_url=settings.llm_base_url,
        timeout=LLM_SECONDS,
    )
    return Reviewer(
        queue=queue,
        stop=stop,
        compare=partial(
            npm_diff.diff_versions,
            registry=str(registry.get_secret_value()) if registry else None,
            token=token.get_secret_value() if token else None,
        ),
        opine=partial(summarize, llm),
        end=node.end,
        threshold=settings.policy_threshold,
    )


def check() -> int:
    """Load everything, run Node and its program, print "ok"; the smoke test of the image.

    Needs no network, no setting and no folder to write to. Returns 1, with one line on stderr,
    when Node or its program does not run.
    """
    from worker import probe, selftest  # noqa: F401 - that they load is what is checked
    from worker.llm import http_client as exchange  # noqa: F401 - the same

    try:
        node.version()
        npm_diff.ask({"package": None}, timeout=10)
    except node.NodeError as error:
        return _fail(str(error))
    except npm_diff.DiffError as error:
        if error.code != "bad_request":  # the answer of a program that runs
            return _fail(str(error))
    print("ok")
    return 0


def _fail(reason: str) -> int:
    print(f"worker: {reason}", file=sys.stderr)
    return 1
