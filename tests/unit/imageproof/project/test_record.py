"""imageproof.project.record: lock files and recorded sizes, as the checks are given them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from imageproof.checks import REGISTRY
from imageproof.errors import ContractError, UsageError
from imageproof.image.sizes import baseline_for, sizes_of
from imageproof.project.lock_files import read_lock, read_npm_lock
from imageproof.project.record import read_record
from imageproof.project.size_baseline import Change, changes, write_baselines
from tests.support.sample_facts import (
    BASE_LABEL,
    MB,
    TODAY,
    contract,
    file,
    image,
    labelled,
    layer,
    package,
    service_contract,
)

LOCK = """\
# made by a tool
--index-url https://packages.invalid/
Ice_Cream[sprinkles]==3.0 \\
    --hash=sha256:00
    # via shop
numpy==1.26.4 ; python_version < "3.12"
numpy==2.1.0 ; python_version >= "3.12"
colorama==0.4.6;sys_platform == "win32"
spam == 1.0
"""
NPM_LOCK = {
    "lockfileVersion": 3,
    "packages": {
        "": {"name": "shop", "version": "1.0.0"},
        "node_modules/blink": {"version": "1.0.0"},
        "node_modules/@me/x": {"version": "2.0.0"},
        "node_modules/@me/x/node_modules/blink": {"version": "0.9.0"},
        "node_modules/alias": {"name": "real", "version": "3.0.0"},
        "node_modules/linked": {"link": True},
    },
}


def test_a_lock_file_gives_each_version_and_says_what_is_not_for_every_system():
    versions, conditional = read_lock(LOCK, "here")
    assert versions == {
        "ice-cream": ("3.0",),
        "numpy": ("1.26.4", "2.1.0"),
        "colorama": ("0.4.6",),
        "spam": ("1.0",),
    }
    assert conditional == {"numpy", "colorama"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "--index-url https://x.invalid/\n"])
def test_a_lock_file_without_packages_locks_none(text):
    assert read_lock(text, "here") == ({}, frozenset())


@pytest.mark.parametrize("text", ["[[package]]\nname = 'x'\n", "spam>=1\n", "{}"])
def test_a_lock_file_of_another_form_is_refused_with_its_place(text):
    with pytest.raises(ContractError, match=r"tool\.imageproof\.images\.shop\.lock"):
        read_lock(text, "tool.imageproof.images.shop.lock")


def test_npm_lock_file_gives_each_version_by_the_name_that_the_package_has():
    assert read_npm_lock(json.dumps(NPM_LOCK), "here") == {
        "blink": ("0.9.0", "1.0.0"),
        "@me/x": ("2.0.0",),
        "real": ("3.0.0",),
    }


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"packages": []}', '{"packages": {"a": 1}}'])
def test_npm_lock_file_of_another_form_is_refused(text):
    with pytest.raises(ContractError, match="here: it is no package-lock"):
        read_npm_lock(text, "here")


def _project(folder: Path, **changes: object):
    images = {"shop": service_contract(**changes), "other": service_contract()}
    return contract(root=folder, images=images, baseline="sizes.json")


def test_a_lock_file_that_is_not_there_is_a_wrong_contract(tmp_path):
    with pytest.raises(ContractError, match=r"shop\.lock: .*no\.txt cannot be read"):
        read_record(_project(tmp_path, lock="no.txt"), "shop", TODAY)


def test_what_the_contract_does_not_name_is_not_on_record(tmp_path):
    record = read_record(contract(root=tmp_path), "shop", TODAY)
    assert (record.python, record.npm, record.baselines) == (None, None, None)
    (tmp_path / "lock.txt").write_text("spam==1.0\n")
    record = read_record(_project(tmp_path, lock="lock.txt"), "shop", TODAY)
    assert (record.today, record.python, record.baselines) == (TODAY, {"spam": ("1.0",)}, ())


# --- recorded sizes


def _sized(size: int, base: str = "python:3.11"):
    shop = package("dpkg", "shop", owns=("srv/stock",))
    files = (file("srv/stock", size=size), file("srv/small"), file(shop.record))
    facts = labelled(BASE_LABEL, base)
    layers = (layer(*files, size=size + 1000, name="b", packages=(shop,)), layer(size=MB))
    return replace(facts, layers=layers)


def test_what_was_recorded_is_read_again(tmp_path):
    project = _project(tmp_path)
    facts = _sized(200_000)
    assert write_baselines(project, {"shop": sizes_of(facts)}) == tmp_path / "sizes.json"
    record = read_record(project, "shop", TODAY)
    assert record.baselines == (sizes_of(facts),)
    assert baseline_for(replace(facts, record=record)) == sizes_of(facts)
    assert sizes_of(facts).packages == {"dpkg:shop": 200_000}
    assert sizes_of(facts).files == {"srv/stock": 200_000}  # no small ones
    assert sizes_of(facts).layers == {"COPY a /": MB, "COPY b /": 201_000}


def test_recording_moves_one_image_on_one_base_and_leaves_the_others(tmp_path):
    project = _project(tmp_path)
    write_baselines(project, {"shop": sizes_of(_sized(1, "a")), "other": sizes_of(_sized(2, "a"))})
    write_baselines(project, {"shop": sizes_of(_sized(3, "b"))})
    write_baselines(project, {"shop": sizes_of(_sized(4, "a"))})
    document = json.loads((tmp_path / "sizes.json").read_text())
    sizes = {(n, base): s["size"] - MB - 1000 for n, b in document.items() for base, s in b.items()}
    assert sizes == {("shop", "a"): 4, ("shop", "b"): 3, ("other", "a"): 2}


def test_recording_the_same_gives_the_same_bytes(tmp_path):
    project = _project(tmp_path)
    path = write_baselines(project, {"shop": sizes_of(_sized(1)), "other": sizes_of(_sized(2))})
    first = path.read_bytes()
    write_baselines(project, {"other": sizes_of(_sized(2))})
    write_baselines(project, {"shop": sizes_of(_sized(1))})
    assert path.read_bytes() == first


def test_what_was_recorded_is_what_growth_is_measured_from(tmp_path):
    project = _project(tmp_path, growth="100kB")
    write_baselines(project, {"shop": sizes_of(_sized(200_000))})
    record = read_record(project, "shop", TODAY)
    ask = REGISTRY["size.growth"].function
    small, large = (replace(_sized(size), record=record) for size in (300_000, 300_001))
    assert not list(ask(project.images["shop"], small))
    (finding,) = ask(project.images["shop"], large)
    assert (finding.file, finding.instruction) == ("/srv/stock", "COPY b /")
    assert finding.bound == record.baselines[0].size + 100_000


def test_changes_name_what_grew_and_what_shrank_the_largest_first():
    before, now = sizes_of(_sized(500_000)), sizes_of(_sized(200_000))
    assert changes(before, before) == []
    assert changes(before, now)[0] == Change("file", "srv/stock", -300_000)
    assert str(changes(now, before)[0]) == "file /srv/stock +0.30 MB"
    assert [c.name for c in changes(sizes_of(image()), now)][:1] == ["COPY b /"]


def test_a_layer_is_called_by_its_instruction_as_far_as_it_is_short():
    layers = (replace(layer(), instruction="RUN " + "x" * 200), replace(layer(), instruction=""))
    names = sizes_of(image(layers=layers)).layers
    assert list(names) == ["RUN " + "x" * 96, "a layer of unknown origin"]


def test_sizes_are_not_recorded_where_the_contract_names_no_file(tmp_path):
    with pytest.raises(UsageError, match="names no file") as caught:
        write_baselines(contract(root=tmp_path), {"shop": sizes_of(image())})
    assert caught.value.status == 2


@pytest.mark.parametrize("text", ["", "[1]", '{"shop": {"a": {"sizes": 1}}}', '{"shop": []}'])
def test_a_damaged_file_of_sizes_is_refused(tmp_path, text):
    (tmp_path / "sizes.json").write_text(text)
    with pytest.raises(ContractError, match=r"sizes\.json"):
        read_record(_project(tmp_path), "shop", TODAY)


def test_compiled_python_counts_to_the_package_that_brought_its_module():
    module, bytecode = (
        "usr/lib/python3.11/os.py",
        "usr/lib/python3.11/__pycache__/os.cpython-311.pyc",
    )
    python = package("dpkg", "python3.11", owns=(module,))
    files = (file(module), file(bytecode, size=500), file("a/__pycache__/x.pyc"))
    facts = image(layers=(layer(*files, file(python.record), packages=(python,)),))
    assert sizes_of(facts).packages == {"dpkg:python3.11": 1500}
