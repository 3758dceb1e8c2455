"""What stands around an accelerator's array, and how its network is quantized."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Around(BaseModel):
    """Parameters of `hw.accelerator_config.AcceleratorConfig` beside the array, and of
    `golden.recipe.Recipe` beside the width; frozen, unknown names refused.

    None leaves to the network what it needs: memories as large as its maps and weights, and the
    requantizer that it has ("multiply" where it is quantized here). groups, mult_width: of networks
    that are quantized here, from a checkpoint. All that is not of the recipe counts for
    accelerators alone, not for arrays by themselves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    requantize: Literal["multiply", "shift"] | None = None
    groups: int = Field(default=1, ge=1, le=4)
    mult_width: int = Field(default=16, ge=4, le=16)
    map_width: int | None = Field(default=None, ge=2, le=16)
    external: Literal["none", "weights", "maps"] = "none"
    external_width: Literal[32, 64, 128, 256, 512] = 64
    activation_words: int | None = Field(default=None, ge=1)
    weight_words: int | None = Field(default=None, ge=1)
    constant_words: int | None = Field(default=None, ge=1)

    @property
    def recipe(self) -> dict[str, object]:
        """Of `golden.recipe.Recipe`, beside the width."""
        return {
            "requantize": self.requantize or "multiply",
            "groups": self.groups,
            "mult_width": self.mult_width,
        }


AS_NEEDED = Around()
