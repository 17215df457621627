"""What optimum-intel's configurations become."""

import pytest

from blipvino import InputError, Search, find_recipe
from blipvino.hf.quantization_configs import compression
from blipvino.optimization.optimize import CalibrationOptions


class OVQuantizationConfig:
    """Stands for optimum-intel's."""

    def __init__(self, **options):
        self.options = options

    def to_dict(self):
        return {"bits": 8, "sym": False, "fast_bias_correction": True, "overflow_fix": "disable", **self.options}


def methods(config):
    return {name: treatment.method for name, treatment in compression(config).recipe.treatments.items()}


def test_names_recipes_and_searches_are_themselves():
    assert compression(None).recipe == "none"
    assert compression("int8").recipe == find_recipe("int8")
    assert compression("auto").recipe == "auto"
    search = Search()
    assert compression(search).recipe is search
    assert set(methods(None if False else {"bits": 8}).values()) == {"weights_int8"}
    assert compression(None, load_in_8bit=True).recipe.name == "weights-int8"


def test_bits_are_of_weights_unless_something_tells():
    assert set(methods({"bits": 4}).values()) == {"weights_int4"}
    four = compression({"bits": 4, "group_size": 32, "ratio": 0.8, "sym": True, "quant_method": "awq"}).recipe
    treatment = four.treatments["answer"]
    assert (treatment.group_size, treatment.ratio, treatment.mode, treatment.awq) == (32, 0.8, "sym", True)
    assert compression({"bits": 8, "weight_only": False}).recipe == find_recipe("int8")
    assert methods({"bits": 8, "smooth_quant_alpha": 0.5})["vision"] == "ptq_int8"


def test_weights_and_activations_by_the_objects_class():
    assert compression(OVQuantizationConfig()).recipe == find_recipe("int8")
    changed = compression(OVQuantizationConfig(sym=True, smooth_quant_alpha=0.6, num_samples=32, dataset="folder:x"))
    vision = changed.recipe.treatments["vision"]
    assert (vision.preset, vision.smooth_quant_alpha) == ("performance", 0.6)
    assert changed.recipe.treatments["answer"] == find_recipe("int8").treatments["answer"]
    assert changed.calibration == CalibrationOptions("folder:x", 32)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (8, "expected the name of a recipe"),
        ("int3", "no recipe 'int3'"),
        ({"bits": 2}, "bits is 2, expected 8 or 4"),
        ({"bits": 4, "weight_only": False}, "expected 8: activations have no fewer"),
        ({"bits": 8, "lora_correction": True}, "lora_correction is not supported"),
        ({"bits": 4, "backup_precision": "mxfp4"}, "backup_precision is 'mxfp4', expected none"),
        ({"bits": 4, "group_size": 0}, "group_size is 0"),
        ({"bits": 8, "ignored_scope": {"patterns": [".*"]}}, "ignored_scope has patterns"),
        ({"bits": 8, "dataset": ["a text"]}, "expected a sample source of blipvino"),
        ({"quantization_configs": {}}, "quantization_configs is not supported"),
    ],
)
def test_what_there_is_not_is_one_line(config, says):
    with pytest.raises(InputError, match=says) as refusal:
        compression(config)
    assert "\n" not in str(refusal.value)
