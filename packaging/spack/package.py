# SPDX-License-Identifier: MIT OR Apache-2.0
# packaging/release fills in @…@, and puts this file with the release.

import os
import platform

from spack.package import *


class GitCloneShim(Package):
    """Stands in for git on PATH so that `git clone --local` works where the filesystem refuses hard links."""

    homepage = "https://github.com/astral-sh/uv/issues/11420"
    # The archive of the release, in the directory where spack runs.
    manual_download = True
    url = f"file://{os.getcwd()}/git-clone-shim-@VERSION@-{platform.machine()}.tar.gz"

    license("MIT OR Apache-2.0")

    sums = {
        "x86_64": "@SHA256_x86_64@",
        "aarch64": "@SHA256_aarch64@",
    }
    if platform.machine() in sums:
        version("@VERSION@", sha256=sums[platform.machine()])

    def install(self, spec, prefix):
        install_tree("bin", prefix.bin, symlinks=True)
        install_tree("share", prefix.share)
