"""Makes the API from its settings and its store."""

from fastapi import FastAPI

from app import health, problems, v1
from app.config import ApiSettings
from app.guard import Guard, Rate
from app.store import Store


def create_app(settings: ApiSettings, store: Store) -> FastAPI:
    """Return the API; it reads no environment and starts nothing."""
    # No documentation pages: they load their scripts from elsewhere. /openapi.json stays.
    app = FastAPI(title="upgrade-gate", version="1", docs_url=None, redoc_url=None)
    app.state.store = store
    app.state.draining = app.state.ready_checked = False  # app/drain.py
    problems.install(app)
    app.include_router(health.router)
    app.include_router(v1.router)
    token = settings.api_token.get_secret_value() if settings.api_token else None
    app.add_middleware(Guard, token=token, rate=Rate(settings.api_rate_limit))
    return app
