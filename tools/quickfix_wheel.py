"""Build the quickfix wheel once, in parallel, and keep it in the user's cache.

The package index carries quickfix as source only, and a plain install compiles its 54 C++ files one
after another (9 to 15 minutes). This program runs the package's own ``setup.py`` with the compiler's
object files spread over all cores, and stores the resulting ordinary wheel under
``$XDG_CACHE_HOME/rebalance-gateway/wheels/<version>-<python tag>/``, so it is never built again.

1. Standard library only: it runs before anything is installed.
2. Progress goes to standard error; the wheel's path is the only line on standard output.
3. Any failure exits 1 with a sentence; the Makefile then falls back to a plain ``pip install``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

FLAGS = "-O1 -g0 -w"

PARALLEL_SETUP = r"""
import concurrent.futures, os, runpy, sys, threading
import setuptools
from distutils import ccompiler

def compile_in_parallel(self, sources, output_dir=None, macros=None, include_dirs=None, debug=0,
                        extra_preargs=None, extra_postargs=None, depends=None):
    macros, objects, extra_postargs, pp_opts, build = self._setup_compile(
        output_dir, macros, include_dirs, sources, depends, extra_postargs)
    cc_args = self._get_cc_args(pp_opts, debug, extra_preargs)
    largest_first = sorted(build.items(), key=lambda item: -os.path.getsize(item[1][0]))
    lock, done, total = threading.Lock(), [0], len(largest_first)
    def compile_one(item):
        obj, (src, ext) = item
        self._compile(obj, src, ext, cc_args, extra_postargs, pp_opts)
        with lock:
            done[0] += 1
            print(f"  quickfix {done[0]}/{total} {os.path.basename(src)}", file=sys.stderr, flush=True)
    with concurrent.futures.ThreadPoolExecutor(int(os.environ["QUICKFIX_JOBS"])) as pool:
        list(pool.map(compile_one, largest_first))
    return objects

ccompiler.CCompiler.compile = compile_in_parallel
sys.argv = ["setup.py", "--quiet", "bdist_wheel", "--dist-dir", os.environ["QUICKFIX_DIST"]]
runpy.run_path("setup.py", run_name="__main__")
"""


def say(text: str) -> None:
    """Print one progress line on standard error."""
    print(text, file=sys.stderr, flush=True)


def cache_folder(version: str) -> Path:
    """Return the folder that holds this version's wheel for this Python and machine."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}-{platform}"
    return Path(base) / "rebalance-gateway" / "wheels" / f"quickfix-{version}-{tag}"


def cached_wheel(version: str) -> Path | None:
    """Return the wheel built earlier, if there is one."""
    return next(iter(sorted(cache_folder(version).glob("quickfix-*.whl"))), None)


def run(command: list[str], quiet: bool, **kwargs: object) -> None:
    """Run one step; its output is shown only when it fails (`quiet`) or as it comes."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE if quiet else subprocess.DEVNULL,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
        **kwargs,  # type: ignore[call-overload]
    )
    if done.returncode:
        if done.stdout:
            say(done.stdout[-4000:])
        message = f"step failed with code {done.returncode}: {' '.join(command[:6])} ..."
        raise RuntimeError(message)


def build(version: str, jobs: int) -> Path:
    """Download the source, compile it in parallel and return the cached wheel's path."""
    if shutil.which(os.environ.get("CXX", "c++")) is None and shutil.which("g++") is None:
        raise RuntimeError("no C++ compiler found: install g++ (Debian: apt-get install g++ python3-dev)")
    with tempfile.TemporaryDirectory(prefix="quickfix-build-") as scratch:
        work = Path(scratch)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        tools = work / "tools"
        say("quickfix: fetching the build tools and the source")
        run([*pip, "install", "--target", str(tools), "setuptools>=70,<81", "wheel"], quiet=True)
        env = {**os.environ, "PYTHONPATH": str(tools), "SETUPTOOLS_USE_DISTUTILS": "local"}
        run(
            [
                *pip,
                "download",
                "--no-deps",
                "--no-binary",
                "quickfix",
                "--no-build-isolation",
                "--dest",
                str(work),
                f"quickfix=={version}",
            ],
            quiet=True,
            env=env,
        )
        archive = next(work.glob("quickfix-*.tar.gz"))
        with tarfile.open(archive) as source:
            source.extractall(work, filter="data")
        say(f"quickfix: compiling on {jobs} core(s); about 3 minutes on two cores, done once per machine")
        env |= {
            "CFLAGS": FLAGS,
            "CXXFLAGS": FLAGS,
            "QUICKFIX_JOBS": str(jobs),
            "QUICKFIX_DIST": str(work / "dist"),
        }
        run([sys.executable, "-c", PARALLEL_SETUP], quiet=False, cwd=work / f"quickfix-{version}", env=env)
        wheel = next((work / "dist").glob("quickfix-*.whl"))
        folder = cache_folder(version)
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / (wheel.name + f".{os.getpid()}.partial")
        shutil.copyfile(wheel, partial)
        return partial.rename(folder / wheel.name)


def main() -> int:
    """Print the path of the cached wheel, building it first when there is none."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("version", help="the quickfix version, for example 1.16.0")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="parallel compilers")
    arguments = parser.parse_args()
    try:
        wheel = cached_wheel(arguments.version) or build(arguments.version, arguments.jobs)
    except (RuntimeError, OSError, StopIteration, tarfile.TarError) as problem:
        say(f"quickfix: the parallel build did not work ({problem})")
        return 1
    print(wheel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
