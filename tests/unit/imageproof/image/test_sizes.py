"""Sizes of an image by layer, package and file."""

from __future__ import annotations

from dataclasses import replace

from imageproof.image.facts import ImageFacts
from imageproof.image.sizes import base_of, baseline_for, most_grown, sizes_of
from imageproof.project.project_files import ProjectFiles
from imageproof.project.size_baseline import Change
from tests.support.sample_facts import (
    BASE_LABEL,
    MB,
    TODAY,
    file,
    image,
    layer,
    package,
    with_label,
)


def _sized(size: int, base: str = "python:3.11") -> ImageFacts:
    shop = package("dpkg", "shop", owns=("srv/stock",))
    files = (file("srv/stock", size=size), file("srv/small"), file(shop.record))
    layers = (layer(*files, size=size + 1000, name="b", packages=(shop,)), layer(size=MB))
    return replace(with_label(BASE_LABEL, base), layers=layers)


def test_sizes_name_layers_packages_and_large_files():
    sizes = sizes_of(_sized(200_000))
    assert sizes.size == MB + 201_000
    assert sizes.layers == {"COPY a /": MB, "COPY b /": 201_000}
    assert sizes.packages == {"dpkg:shop": 200_000}
    assert sizes.files == {"srv/stock": 200_000}


def test_base_has_no_registry_host_and_no_digest():
    name = "mirror.invalid:5000/library/python:3.11@sha256:0"
    assert base_of(with_label(BASE_LABEL, name)) == "python:3.11"


def test_baseline_is_the_one_of_the_same_base():
    on_a, on_b = sizes_of(_sized(1, "a")), sizes_of(_sized(2, "b"))
    files = ProjectFiles(TODAY, baselines=(on_a, on_b))
    assert baseline_for(replace(_sized(3, "b"), project_files=files)) == on_b
    assert baseline_for(replace(_sized(3, "c"), project_files=files)) is None
    assert baseline_for(_sized(3, "a")) is None


def test_most_grown_names_one_layer_package_and_file():
    assert most_grown(_sized(500_000), sizes_of(_sized(200_000))) == [
        Change("layer", "COPY b /", 300_000),
        Change("package", "dpkg:shop", 300_000),
        Change("file", "srv/stock", 300_000),
    ]
    assert most_grown(_sized(200_000), sizes_of(_sized(500_000))) == []


def test_layer_is_named_by_its_shortened_instruction():
    layers = (replace(layer(), instruction="RUN " + "x" * 200), replace(layer(), instruction=""))
    names = sizes_of(image(layers=layers)).layers
    assert list(names) == ["RUN " + "x" * 96, "a layer of unknown origin"]


def test_compiled_python_belongs_to_the_package_of_its_module():
    module = "usr/lib/python3.11/os.py"
    bytecode = "usr/lib/python3.11/__pycache__/os.cpython-311.pyc"
    python = package("dpkg", "python3.11", owns=(module,))
    files = (file(module), file(bytecode, size=500), file("a/__pycache__/x.pyc"))
    facts = image(layers=(layer(*files, file(python.record), packages=(python,)),))
    assert sizes_of(facts).packages == {"dpkg:python3.11": 1500}
