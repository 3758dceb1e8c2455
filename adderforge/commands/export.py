"""adderforge export"""

from pathlib import Path

import click

from ..options import FILE, as_json, show


@click.command()
@click.argument("model", type=FILE)
@click.option("--onnx", "out", type=FILE, required=True, help="the file to write")
@click.option("--codes", is_flag=True, help="take int64 codes instead of float32 images")
@click.option("--all-layers", is_flag=True, help="give every layer's codes, not only the last's")
@as_json
def export(model: Path, out: Path, codes: bool, all_layers: bool, as_json: bool) -> None:
    """Write a quantized network as an ONNX file.

    MODEL is an .npz that 'adderforge quantize' wrote. onnxruntime computes the integers of the
    reference from the file, bit for bit. Input: image, float32 (N, channels, height, width), not
    NaN or infinite. Outputs: codes, int64, named as their layers; the largest is the class.

    \b
    Example:  adderforge export run/lenet5-bn-mnist-adder.npz --onnx run/adder.onnx
    """
    from golden import model_file
    from golden.onnx_export import save_onnx

    if out.exists() and out.samefile(model):
        raise ValueError(f"{out}: the ONNX file must not be the model's; choose another name")
    network = model_file.load(model)
    written = save_onnx(network, out, codes=codes, all_layers=all_layers)
    figures = {
        "model": str(model),
        "onnx": str(out),
        "bytes": out.stat().st_size,
        "opset": written.opset_import[0].version,
        "ir_version": written.ir_version,
        "nodes": len(written.graph.node),
        "input": written.graph.input[0].name,
        "outputs": [output.name for output in written.graph.output],
    }
    text = "{onnx}: {bytes:,} bytes, opset {opset}, {nodes} nodes"
    show(figures, as_json, text.format(**figures))
