"""`python -m adderforge`, and `torchrun … -m adderforge` for training in several processes."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="adderforge")
