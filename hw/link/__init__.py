"""The serial link between a host and an accelerator on a board: frames over a UART."""
