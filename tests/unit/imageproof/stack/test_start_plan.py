"""Tests of the plan of a start, from Compose's own words."""

from __future__ import annotations

from imageproof.stack.start_plan import parse_plan

# As Compose 2.26 prints it.
FIRST_START = """
 DRY-RUN MODE -  Network shop_default  Creating
 DRY-RUN MODE -  Network shop_default  Created
 DRY-RUN MODE -  Volume "shop_data"  Creating
 DRY-RUN MODE -  Volume "shop_data"  Created
 DRY-RUN MODE -  Container shop-api-1  Creating
 DRY-RUN MODE -  Container shop-api-1  Created
 DRY-RUN MODE -  Container shop-api-1  Starting
 DRY-RUN MODE -  Container shop-api-1  Started
"""
CHANGED = """
 DRY-RUN MODE -  Container shop-old-1  Stopping
 DRY-RUN MODE -  Container shop-old-1  Stopped
 DRY-RUN MODE -  Container shop-old-1  Removing
 DRY-RUN MODE -  Container shop-old-1  Removed
 DRY-RUN MODE -  Container shop-cache-1  Running
 DRY-RUN MODE -  Container shop-api-1  Recreate
 DRY-RUN MODE -  Container shop-api-1  Recreated
 DRY-RUN MODE -  Container 12aaf59ceb1a_shop-api-1  Starting
 DRY-RUN MODE -  Container 12aaf59ceb1a_shop-api-1  Started
 DRY-RUN MODE -  Container shop-stopped-1  Starting
 DRY-RUN MODE -  Container shop-stopped-1  Started
time="2026-11-29T21:55:14Z" level=warning msg="something else"
"""


def test_first_start_creates_every_object():
    assert list(parse_plan(FIRST_START.splitlines(keepends=True))) == [
        "would create network shop_default",
        "would create volume shop_data",
        "would create container shop-api-1",
    ]


def test_later_start_names_each_container_once():
    assert list(parse_plan([None, *CHANGED.splitlines(keepends=True)])) == [
        "would remove container shop-old-1",
        "would keep container shop-cache-1",
        "would replace container shop-api-1",
        "would start container shop-stopped-1",
    ]
