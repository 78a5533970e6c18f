"""Certificate authorities made up on the spot, and what they sign, good or bad, with the openssl program."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")

HERE = "IP:127.0.0.1,DNS:localhost"
NOW = ("20200101000000Z", "20400101000000Z")
PAST = ("20200101000000Z", "20210101000000Z")
FUTURE = ("20390101000000Z", "20400101000000Z")
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_DATABASE = """\
[ca]
default_ca = own
[own]
dir = .
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
"""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """One that signs certificates.

    Args:
        folder: where all its files go.
        name: what it is called.
    """

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.certificate, self._key = folder / "authority.pem", folder / "authority.key"
        (folder / "index.txt").touch()
        (folder / "ca.cnf").write_text(_DATABASE)
        self._openssl(
            *("req", "-x509", *_NEW_KEY, "-days", "2", "-subj", f"/CN={name}"),
            *("-keyout", self._key, "-out", self.certificate),
        )

    def sign(
        self,
        name: str,
        *,
        names: str = "",
        purpose: str = "",
        valid: tuple[str, str] = NOW,
    ) -> Pair:
        """Make a key and sign a certificate for it.

        Args:
            name: what it is called; its files, too.
            names: what a broker may be called, such as `DNS:localhost`.
            purpose: such as `clientAuth`; any when left out.
            valid: from when until when.
        """
        certificate, key, request = (self._folder / f"{name}.{ending}" for ending in ("pem", "key", "csr"))
        extensions = self._folder / f"{name}.ext"
        lines = ["basicConstraints=CA:FALSE"]
        lines += [f"subjectAltName={names}"] if names else []
        lines += [f"extendedKeyUsage={purpose}"] if purpose else []
        extensions.write_text("\n".join(lines) + "\n")
        self._openssl("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        self._openssl(
            *("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", self.certificate, "-keyfile", self._key),
            *(
                "-startdate",
                valid[0],
                "-enddate",
                valid[1],
                "-extfile",
                extensions,
                "-in",
                request,
                "-out",
                certificate,
            ),
        )
        return Pair(certificate=certificate, key=key)

    def _openssl(self, *arguments: str | Path) -> None:
        assert OPENSSL
        done = subprocess.run(
            [OPENSSL, *map(str, arguments)], cwd=self._folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
