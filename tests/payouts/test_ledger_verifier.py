"""The offline verifier as a module and as one zip file: the same verdict on every case of the shared corpus."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nacl
import pytest

from script import build_verifier
from tests.payouts import corpus
from tests.vectors.golden import make_verifier

FOLDER = make_verifier.HERE
MANIFEST = json.loads(make_verifier.TARGET.read_text())
CASES = {case["name"]: case for case in MANIFEST["cases"]}


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_verifier.build(tmp_path_factory.mktemp("zip") / "tributary-verify.pyz")


@pytest.fixture(scope="module")
def only_pynacl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with PyNaCl and nothing else, as on a machine that never saw this project."""
    folder, site = tmp_path_factory.mktemp("site"), Path(nacl.__file__).parents[1]
    for path in [site / "nacl", *site.glob("_cffi_backend*"), *site.glob("cffi")]:
        (folder / path.name).symlink_to(path)
    return folder


def bare(*arguments: object, path: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Python without its site-packages, in an empty folder."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path}
    argv = [sys.executable, "-S", *map(str, arguments)]
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)


def agrees(case: dict[str, Any], status: int, report: dict[str, Any]) -> bool:
    return status == case["exit"] and {member: report.get(member) for member in case["report"]} == case["report"]


def test_the_corpus_comes_out_of_its_script() -> None:
    made = json.loads(json.dumps(make_verifier.make()))
    # Another zlib may pack otherwise; it may not say otherwise.
    for one in (*made["cases"], *(kept := json.loads(json.dumps(MANIFEST)))["cases"]):
        one.pop("base64", None)
    assert made == kept
    assert len(CASES) == len(MANIFEST["cases"]) > 100
    assert sum(case["exit"] == 0 for case in CASES.values()) == 6


@pytest.mark.parametrize("name", [name for name in CASES if " flipped" not in name])
def test_the_module_gives_the_verdict(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from payouts.ledger.__main__ import main

    status = main(corpus.arguments_of(CASES[name], FOLDER, tmp_path))
    assert agrees(CASES[name], status, json.loads(capsys.readouterr().out))


def test_the_zip_file_gives_the_same_verdicts_with_pynacl_alone(zipped: Path, only_pynacl: Path, tmp_path: Path) -> None:
    done = bare(corpus.__file__, FOLDER, path=f"{zipped}{os.pathsep}{only_pynacl}", folder=tmp_path)
    assert done.stderr == ""
    said = {name: (status, report) for name, status, report in map(json.loads, done.stdout.splitlines())}
    assert said.keys() == CASES.keys()
    assert [name for name, case in CASES.items() if not agrees(case, *said[name])] == []


@pytest.mark.parametrize(("name", "status"), [("statement: two debtors, two currencies, paid, held, unclaimed", 0), ("statement: a changed entry", 1), ("fork: at two sizes", 0)])  # fmt: skip
def test_the_zip_file_is_a_command(name: str, status: int, zipped: Path, only_pynacl: Path, tmp_path: Path) -> None:
    done = bare(zipped, *corpus.arguments_of(CASES[name], FOLDER, tmp_path), path=str(only_pynacl), folder=tmp_path)
    assert (done.returncode, done.stderr) == (status, "")
    assert agrees(CASES[name], done.returncode, json.loads(done.stdout))


def test_without_pynacl_it_says_what_to_install_and_why(zipped: Path, tmp_path: Path) -> None:
    done = bare(zipped, "verify", "statement", path="", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs PyNaCl, which is not installed here" in done.stderr
    assert "Python loads none out of a zip file" in done.stderr
    assert "-m pip install pynacl" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_cannot_be_read_is_neither_verified_nor_refused(zipped: Path, only_pynacl: Path, tmp_path: Path) -> None:
    done = bare(zipped, "verify", "nowhere.gz", path=str(only_pynacl), folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("cannot read: ")
    assert bare(zipped, "verify", path=str(only_pynacl), folder=tmp_path).returncode == 2


def test_the_same_file_comes_out_every_time(zipped: Path, tmp_path: Path) -> None:
    assert build_verifier.build(tmp_path / "again.pyz").read_bytes() == zipped.read_bytes()
