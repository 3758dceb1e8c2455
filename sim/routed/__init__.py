"""Netlists that nextpnr placed and routed, simulated as a board runs them."""

from .check import FABRICS as FABRICS
from .check import RoutedCheck as RoutedCheck
from .check import check_routed as check_routed
