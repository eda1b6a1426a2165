"""The bundle, and the code that it is held against: a wheel that is really built and installed."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml
from tasks import Installed

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def bundle():
    """databricks.yml, parsed."""
    return yaml.safe_load((ROOT / "databricks.yml").read_text("utf-8"))


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The wheel, built and installed into an environment of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    target = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", target], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = target / "lib" / version / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # what it depends on; a .pth within is not followed, so the checkout does not get in
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(target / "bin/python", site)
