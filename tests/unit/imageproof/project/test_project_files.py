"""The project's files about an image: lock files and size baselines."""

from __future__ import annotations

from pathlib import Path

import pytest

from imageproof.contract import Contract
from imageproof.errors import ContractError
from imageproof.project.project_files import read_project_files
from tests.support.sample_facts import TODAY, contract, service_contract


def _project(folder: Path, **changes: object) -> Contract:
    shop = service_contract(**changes)
    return contract(root=folder, images={"shop": shop}, baseline="sizes.json")


def test_missing_lock_file_is_a_contract_error(tmp_path):
    with pytest.raises(ContractError, match=r"shop\.lock: .*no\.txt cannot be read"):
        read_project_files(_project(tmp_path, lock="no.txt"), "shop", TODAY)


def test_files_that_the_contract_does_not_name_are_none(tmp_path):
    files = read_project_files(contract(root=tmp_path), "shop", TODAY)
    assert (files.python, files.npm, files.baselines) == (None, None, None)


def test_lock_file_and_missing_baseline_file_are_read(tmp_path):
    (tmp_path / "lock.txt").write_text("spam==1.0\n")
    files = read_project_files(_project(tmp_path, lock="lock.txt"), "shop", TODAY)
    assert (files.today, files.python, files.baselines) == (TODAY, {"spam": ("1.0",)}, ())


@pytest.mark.parametrize("text", ["", "[1]", '{"shop": {"a": {"sizes": 1}}}', '{"shop": []}'])
def test_damaged_baseline_file_is_refused(tmp_path, text):
    (tmp_path / "sizes.json").write_text(text)
    with pytest.raises(ContractError, match=r"sizes\.json"):
        read_project_files(_project(tmp_path), "shop", TODAY)
