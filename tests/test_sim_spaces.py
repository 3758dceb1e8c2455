"""A checkout in any folder: what make cannot take has a place or a link without spaces."""

import pytest

from hw.config import ArrayConfig
from sim.runner import simulate
from sim.spaces import build_folder, has_space, link_without_spaces
from sim.workload import generated_forms


def test_a_path_without_spaces_stays_as_it_is(tmp_path):
    assert link_without_spaces(tmp_path) == tmp_path
    assert build_folder(tmp_path) == tmp_path / "build"


def test_a_folder_with_a_space_gets_one_link_without(tmp_path):
    spaced = tmp_path / "new folder"
    spaced.mkdir()
    (spaced / "file").write_text("here")
    link = link_without_spaces(spaced)
    assert not has_space(link) and link_without_spaces(spaced) == link
    assert (link / "file").read_text() == "here"


def test_two_builds_of_spaced_folders_never_share_a_place(tmp_path):
    places = {build_folder(tmp_path / "new folder") for _ in range(2)}
    assert len(places) == 2 and not any(has_space(place) for place in places)


@pytest.mark.slow
def test_verilator_builds_for_a_folder_with_a_space(tmp_path):
    config = ArrayConfig(rows=1, cols=1, width=2, depth=3)
    folder = tmp_path / "new folder"
    results = simulate(config, generated_forms(config), folder)
    assert results and all(result.passed for result in results)
    assert (folder / "results.xml").exists()
