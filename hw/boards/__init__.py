"""Boards: an accelerator on a serial line, from Verilog to a bitstream."""

from .build import build_board as build_board
from .build import check_board as check_board
from .kinds import BOARDS as BOARDS
from .report import BoardReport as BoardReport
