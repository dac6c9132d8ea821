from __future__ import annotations

from pathlib import Path

import pytest

from codegen.diagrams import render
from codegen.flatten import flatten
from codegen.loading import load
from codegen.model import Machine

HERE = Path(__file__).parent
SPECS = HERE.parents[2] / "spec"


def machine_of(path: Path) -> Machine:
    loaded = load(path)
    assert loaded.spec is not None, loaded.troubles
    return flatten(loaded.spec)


MACHINES = {
    "ferry": HERE / "hostile.yaml",
    "crossing": SPECS / "crossing.yaml",
    "trading": SPECS / "trading.yaml",
}


@pytest.fixture(scope="session", params=list(MACHINES))
def machine(request: pytest.FixtureRequest) -> Machine:
    return machine_of(MACHINES[request.param])


@pytest.fixture(scope="session")
def files(machine: Machine) -> dict[str, str]:
    return render(machine)


@pytest.fixture(scope="session")
def ferry() -> Machine:
    return machine_of(MACHINES["ferry"])


@pytest.fixture(scope="session")
def ferry_files(ferry: Machine) -> dict[str, str]:
    return render(ferry)
