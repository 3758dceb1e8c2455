"""The shell that makes an accelerator an IP block: AXI4-Stream for images and answers, AXI4-Lite
registers, a self-test, and the files that tools and drivers want beside it."""
