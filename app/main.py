"""Makes the API from its settings and its queue."""

from fastapi import FastAPI

from app.config import ApiSettings
from app.jobs import Queue
from app.routes import router


def create_app(settings: ApiSettings, queue: Queue) -> FastAPI:
    """Return the API; it reads no environment and starts nothing."""
    # No documentation pages: they load their scripts from elsewhere. /openapi.json stays.
    app = FastAPI(title="upgrade-gate", docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.queue = queue
    app.include_router(router)
    return app
