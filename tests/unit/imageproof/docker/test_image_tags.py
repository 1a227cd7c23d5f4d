"""Tests of the image tags that the compose file gives."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from imageproof.docker.image_tags import image_tags
from imageproof.errors import ContractError
from tests.support.sample_facts import contract, service_contract

SERVICES = {"web": {"image": "shop/web:1"}, "db": {"image": "shop/db:1"}, "plain": {}}
ENGINE = SimpleNamespace(
    compose_files=(), compose_model=lambda *, interpolate: {"services": SERVICES}
)
BOTH = {"shop": service_contract(service="web"), "store": service_contract(service="db")}


def test_image_has_tag_of_its_service():
    assert image_tags(contract(images=BOTH), ENGINE) == {"shop": "shop/web:1", "store": "shop/db:1"}


def test_only_requested_images_are_looked_up():
    project = contract(images={**BOTH, "broken": service_contract(service="none")})
    assert image_tags(project, ENGINE, {"shop": BOTH["shop"]}) == {"shop": "shop/web:1"}
    assert image_tags(project, ENGINE, {}) == {}


@pytest.mark.parametrize(
    ("service", "problem"), [("none", "does not exist"), ("plain", "has no `image:`")]
)
def test_service_without_image_is_a_contract_error(service, problem):
    with pytest.raises(ContractError, match=problem) as caught:
        image_tags(contract(images={"shop": service_contract(service=service)}), ENGINE)
    assert repr(service) in caught.value.cause
    assert "web, db, plain" in (caught.value.hint or "")
