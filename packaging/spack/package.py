# SPDX-License-Identifier: MIT OR Apache-2.0

import os

from spack_repo.builtin.build_systems.cargo import CargoPackage

from spack.package import *


class GitCloneShim(CargoPackage):
    """Stands in for git on PATH so that `git clone --local` works where the filesystem refuses hard links."""

    homepage = "https://github.com/astral-sh/uv/issues/11420"
    # git archive --prefix=git-clone-shim-0.2.0/ -o git-clone-shim-0.2.0.tar.gz v0.2.0, in the directory where spack runs.
    # The archive contains this file, so not its own checksum: spack install --no-checksum git-clone-shim
    manual_download = True
    url = f"file://{os.getcwd()}/git-clone-shim-0.2.0.tar.gz"

    license("MIT OR Apache-2.0")

    version("0.2.0")

    variant("static", default=False, description="Starts several times faster; needs the system's static C library")

    depends_on("c", type="build")
    depends_on("rust@1.88:", type="build")

    @property
    def build_args(self):
        arguments = ["--locked"]
        if self.spec.satisfies("+static"):
            # With a named target, the flags do not apply to proc macros, which cannot be static.
            arguments += ["--target", f"{self.spec.target.family}-unknown-linux-gnu"]
        return arguments

    def setup_build_environment(self, env: EnvironmentModifications) -> None:
        if self.spec.satisfies("+static"):
            env.set("RUSTFLAGS", "-C target-feature=+crt-static -C relocation-model=static")

    @run_after("install")
    def install_tree_of_version(self):
        program = join_path(self.prefix.bin, "git-clone-shim")
        Executable("packaging/tree")(program, self.prefix)
