"""The report for people with a card, where there is none: the CPU stands in for it."""

import torch

import kernels
from tests import gpu_report


def test_without_a_card_the_report_says_so_and_lists_versions(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = tmp_path / "report.txt"
    assert gpu_report.main(["--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert (
        f"torch {torch.__version__} is built" in text
        and "numba" in text
        and "no CUDA device" in text
    )
    assert text in capsys.readouterr().out


def test_every_kernel_is_compared_and_a_wrong_one_is_told(monkeypatch):
    monkeypatch.setattr(gpu_report, "SIZE", (48, 64))
    monkeypatch.setattr(gpu_report, "CAMERA", ((48, 64), 64.0, 20.0))
    asked = []
    monkeypatch.setattr(kernels, "_on_cuda", lambda _, impl: asked.append(impl))
    operators = gpu_report.operators()
    operations = {name for name in kernels.__all__ if not isinstance(getattr(kernels, name), type)}
    assert operations <= set(operators)
    for name, function in operators.items():
        del asked[:]
        line, good = gpu_report.compared(name, function)
        assert good and line.startswith(name) and {"cpu", "cuda"} <= set(asked)
    line, good = gpu_report.compared(
        "broken", lambda impl: torch.ones(9) if impl == "cpu" else torch.zeros(9)
    )
    assert not good and "largest difference 1" in line


def test_failure_of_one_kernel_does_not_end_the_report(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)

    def broken(impl):
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(gpu_report, "operators", lambda: {"zbuffer": broken})
    monkeypatch.setattr(gpu_report, "film", broken)
    monkeypatch.setattr(gpu_report, "ROOT", tmp_path)  # where no tests are
    out = tmp_path / "report.txt"
    assert gpu_report.main(["--out", str(out)]) == 1
    text = out.read_text(encoding="utf-8")
    assert "WRONG  zbuffer: RuntimeError: no kernel image" in text and "WRONG  film" in text
