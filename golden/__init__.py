"""What must be computed: layers, networks, training, quantization, the integer reference."""
