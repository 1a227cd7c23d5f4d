"""imageproof.docker.compose_images: the compose file says which tag an image has, and must say it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from imageproof.docker.compose_images import references
from imageproof.errors import ContractError
from tests.support.sample_facts import contract, service_contract

SERVICES = {"web": {"image": "shop/web:1"}, "db": {"image": "shop/db:1"}, "plain": {}}
ENGINE = SimpleNamespace(
    compose_files=(), compose_model=lambda *, interpolate: {"services": SERVICES}
)
BOTH = {"shop": service_contract(service="web"), "store": service_contract(service="db")}


def test_each_image_has_the_tag_of_its_service():
    assert references(contract(images=BOTH), ENGINE) == {"shop": "shop/web:1", "store": "shop/db:1"}


def test_only_the_images_that_are_asked_for_are_looked_at():
    project = contract(images={**BOTH, "broken": service_contract(service="none")})
    assert references(project, ENGINE, {"shop": BOTH["shop"]}) == {"shop": "shop/web:1"}
    assert references(project, ENGINE, {}) == {}


@pytest.mark.parametrize(
    ("service", "said"), [("none", "no such service"), ("plain", "no `image:`")]
)
def test_a_service_that_names_no_image_is_a_wrong_contract(service, said):
    with pytest.raises(ContractError, match=said) as caught:
        references(contract(images={"shop": service_contract(service=service)}), ENGINE)
    assert repr(service) in caught.value.cause
    assert "web, db, plain" in (caught.value.hint or "")
