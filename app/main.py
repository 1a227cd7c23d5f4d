"""Application factory of the API."""

from fastapi import FastAPI

from app import health, problems, v1
from app.config import ApiSettings
from app.guard import Guard, TokenBucket
from app.store import Store


def create_app(settings: ApiSettings, store: Store) -> FastAPI:
    """Return the API. Reads no environment variable and starts nothing."""
    # Without documentation pages, which load scripts from a CDN. /openapi.json stays.
    # Without redirects to a path with or without a slash, because the client names their host.
    app = FastAPI(
        title="upgrade-gate",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.store = store
    app.state.store_check = None  # app/health.py
    app.state.draining = app.state.ready_checked = False  # app/drain.py
    problems.install(app)
    app.include_router(health.router)
    app.include_router(v1.router)
    token = settings.api_token.get_secret_value() if settings.api_token else None
    app.add_middleware(Guard, token=token, limiter=TokenBucket(settings.api_rate_limit))
    return app
