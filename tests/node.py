"""Node and what npm installs, for the examples and clients that are written for it."""

import shutil
import subprocess
from pathlib import Path

from tests.servers import unavailable

INSTALL = ["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]


def install_packages(package_json: Path, folder: Path) -> Path:
    """Copy a package.json into the folder, install what it asks for and return the folder.

    Without node, npm or its registry the test skips at a desk and fails in CI.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        unavailable("needs node and npm")
    folder.mkdir(exist_ok=True)
    shutil.copy(package_json, folder)
    try:
        installed = subprocess.run(INSTALL, cwd=folder, capture_output=True, text=True, timeout=150, check=False)
    except subprocess.TimeoutExpired:
        unavailable("the package registry does not answer")
    if installed.returncode != 0:
        unavailable(f"npm could not install what {package_json.name} asks for: {installed.stderr[-300:]}")
    return folder
