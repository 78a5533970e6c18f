"""An npm package is a checked archive: packed by npm, verified, and read without running anything in it."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from recipes.checksum import check_sha256
from recipes.errors import FetchError, RecipeError

ARCHIVE_ROOT = "package/"  # npm puts every file of a package below this folder
NPM_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmPackage:
    """One version of one package, and the sha256 of its archive."""

    name: str
    version: str
    sha256: str

    @property
    def source(self) -> str:
        """Write it as `npm:name@version`, the form that manifests and model metadata hold."""
        return f"npm:{self.name}@{self.version}"

    @property
    def archive_name(self) -> str:
        """Return the file name that `npm pack` gives the archive."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


def fetch(package: NpmPackage, folder: Path) -> Path:
    """Return the package's verified archive, packed into `folder` unless it already lies there.

    Raises:
        FetchError: npm is missing or failed.
        RecipeError: the archive is not the one expected.
    """
    archive = folder / package.archive_name
    if not archive.exists():
        _npm_pack(package, folder)
    check_sha256(archive, package.sha256, f"delete {archive} and run again; if it stays so, do not trust the package")
    return archive


def extract(archive: Path, members: tuple[str, ...], folder: Path) -> None:
    """Write some of the archive's files, named relative to the package, flat into `folder`.

    Raises:
        RecipeError: the archive has no such file.
    """
    with tarfile.open(archive, "r:gz") as tar:
        wanted = {ARCHIVE_ROOT + member for member in members}
        for entry in tar:  # in archive order: one pass over a compressed stream that cannot seek
            if entry.name not in wanted or (content := tar.extractfile(entry)) is None:
                continue
            (folder / Path(entry.name).name).write_bytes(content.read())
            wanted.discard(entry.name)
    if wanted:
        missing = ", ".join(sorted(name.removeprefix(ARCHIVE_ROOT) for name in wanted))
        raise RecipeError(f"{archive.name}: has no {missing}; is it the right package?")


def _npm_pack(package: NpmPackage, folder: Path) -> None:
    if shutil.which("npm") is None:
        raise FetchError("npm is not on the PATH; install Node.js with npm, it fetches the model packages")
    specifier = f"{package.name}@{package.version}"
    command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder), specifier]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise FetchError(f"npm pack {specifier}: no answer in {NPM_TIMEOUT_S} s; is the registry reachable?") from None
    if done.returncode != 0:
        reason = " ".join(done.stderr.split()) or f"exit {done.returncode}"
        raise FetchError(f"npm pack {specifier}: {reason}")
