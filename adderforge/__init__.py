"""What a user calls: the command line, the public API, reports.

The public names are loaded when they are first used, so that `import adderforge` costs nothing
and generating hardware needs no PyTorch.
"""

from importlib import import_module

_HOMES = {
    "ArrayConfig": "hw.config",
    "load_config": "hw.config",
    "ProcessingElement": "hw.pe",
    "SystolicArray": "hw.systolic",
    "Schedule": "hw.schedule",
    "cycles": "hw.schedule",
    "array_verilog": "hw.verilog",
    "SynthReport": "hw.synth",
    "best_multiplier": "hw.best",
    "synthesize": "hw.synth",
    "EnergyReport": "hw.energy",
    "AcceleratorConfig": "hw.accelerator_config",
    "fitted": "hw.allocation",
    "compile_model": "hw.program",
    "accelerator_verilog": "hw.accelerator_verilog",
    "Board": "adderforge.board",
    "build_board": "hw.boards",
    "QuantizedModel": "golden.spec",
    "load_model": "golden.model_file:load",
    "save_model": "golden.model_file:save",
    "matrix_forms": "sim.workload",
    "simulate": "sim.runner",
    "measure": "sim.gate_run",
    "Space": "adderforge.exploration.space",
    "Design": "adderforge.exploration.design",
    "DesignPoint": "adderforge.exploration.design",
    "Effort": "adderforge.exploration.effort",
    "Objective": "adderforge.exploration.objectives",
    "Store": "adderforge.exploration.store",
    "Workload": "adderforge.exploration.workloads",
    "network_workload": "adderforge.exploration.workloads:network",
    "model_workload": "adderforge.exploration.workloads:of_model",
    "explore": "adderforge.exploration.explore",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'adderforge' has no public name {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return __all__
