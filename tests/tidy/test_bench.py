"""What ``script/bench`` promises whoever reads its JSON or its exit status, with benches that measure nothing."""

import json
import sys
from types import ModuleType

import pytest

import bench
from bench import __main__ as command
from bench import at_least, at_most

MEMBERS = {"metric", "value", "unit", "target", "reference", "ok"}


def run(monkeypatch: pytest.MonkeyPatch, *measurements: bench.Measurement, options: tuple[str, ...] = ()) -> int:
    module = ModuleType("bench.nothing")
    module.measure = lambda: list(measurements)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bench.nothing", module)
    monkeypatch.setitem(command.NAMES, "nothing", "measures nothing")
    monkeypatch.setattr(sys, "argv", ["bench", "nothing", *options])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("row", "ok"),
    [
        (at_most("start_s", 5.0, "s", 5, "import alone: 1 s"), True),
        (at_most("start_s", 5.001, "s", 5, "import alone: 1 s"), False),
        (at_least("rate", 100.0, "1/s", 100, "bare: 200/s"), True),
        (at_least("rate", 99.999, "1/s", 100, "bare: 200/s"), False),
    ],
)
def test_a_missed_target_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], row: bench.Measurement, ok: bool
) -> None:
    met = at_most("other", 1, "s", 2, "nothing")
    assert run(monkeypatch, met, row, options=("--json",)) == (0 if ok else 1)
    rows = json.loads(capsys.readouterr().out)
    assert [set(each) for each in rows] == [MEMBERS, MEMBERS]
    assert [each["ok"] for each in rows] == [True, ok]
    assert run(monkeypatch, row) == (0 if ok else 1)
    assert ("MISS" in capsys.readouterr().out) is not ok


def test_every_bench_that_is_named_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in command.NAMES:
        assert hasattr(__import__(f"bench.{name}", fromlist=["measure"]), "measure")
    monkeypatch.setattr(sys, "argv", ["bench", "no-such-bench"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
