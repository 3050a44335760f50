"""The table of exporters: which suffix means what, and that files are whole or not there."""

import pytest

from utils.export import table
from utils.export.table import EXPORTERS, Exporter, find_exporter, write_exports


def test_the_longest_suffix_decides(monkeypatch):
    monkeypatch.setitem(EXPORTERS, ".x", Exporter("one", "a"))
    monkeypatch.setitem(EXPORTERS, ".long.x", Exporter("other", "b"))
    assert find_exporter("Scene.LONG.X").what == "other"
    assert find_exporter("long.x").what == "one"


def test_an_unknown_suffix_lists_those_that_are():
    with pytest.raises(ValueError, match=r"must end in one of \.ply \(.*; got scene\.obj"):
        find_exporter("scene.obj")


def test_a_missing_package_is_said_with_what_to_type(monkeypatch):
    monkeypatch.setitem(EXPORTERS, ".x", Exporter("something", "ply", "no_such_package"))
    with pytest.raises(ValueError, match="pip install no_such_package"):
        find_exporter("scene.x")


@pytest.mark.parametrize("suffix", EXPORTERS)
def test_a_disk_that_is_full_leaves_nothing_and_names_the_file(tmp_path, monkeypatch, suffix):
    def full(path, *_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    module = table.import_module(f"utils.export.{EXPORTERS[suffix].module}")
    monkeypatch.setattr(module, "write", full)
    with pytest.raises(OSError, match=f"scene{suffix}: cannot be written: No space left"):
        write_exports([tmp_path / "sub" / f"scene{suffix}"], None, None, None, None)
    assert list((tmp_path / "sub").iterdir()) == []
