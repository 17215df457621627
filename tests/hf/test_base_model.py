"""Loading, saving, sharing, devices: optimum-intel's conventions."""

import copy
import json
import pickle
import shutil
from dataclasses import dataclass

import pytest
import torch
from checkpoint.loopback_hub import LoopbackHub, serve
from subjects import scene_image

from blipvino import BlipvinoError, BundleError, CheckpointError, InputError, OutputError, open_bundle
from blipvino.hf import OVBlipForConditionalGeneration, OVBlipForQuestionAnswering

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


def load(source, **options):
    return OVBlipForConditionalGeneration.from_pretrained(source, **{"ov_config": EXACT, "compile": False, **options})


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with serve(LoopbackHub(storage=tmp_path / "hub")) as running:
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        monkeypatch.setattr("time.sleep", lambda _: None)
        yield running


def caption(model, subject):
    return model.generate(subject.pixel_values([scene_image(0)]), max_new_tokens=6).tolist()


def test_a_model_says_what_transformers_asks_of_it(tiny_captioner):
    model = load(tiny_captioner.bundle)
    assert model.config.text_config.hidden_size == tiny_captioner.oracle.config.text_config.hidden_size
    assert model.config.to_dict()["vision_config"] == tiny_captioner.oracle.config.to_dict()["vision_config"]
    assert (model.device, model.dtype, model.can_generate()) == (torch.device("cpu"), torch.float32, True)
    assert model.eval() is model.half() is model
    for copied in (pickle.dumps, copy.deepcopy):
        with pytest.raises(InputError, match=r"cannot be pickled.*from_pretrained"):
            copied(model)


def test_a_checkpoint_is_exported_once_and_saved(tiny_captioner, tmp_path):
    model = load(tiny_captioner.folder, compile=True)
    assert model.bundle.manifest.recipe.name == "none"
    expected = caption(model, tiny_captioner)
    model.save_pretrained(tmp_path / "saved")
    assert load(tiny_captioner.folder).bundle.folder == model.bundle.folder
    assert caption(load(tmp_path / "saved", export=False), tiny_captioner) == expected
    assert open_bundle(tmp_path / "saved" / "blipvino").manifest.recipe.name == "none"


def test_what_processors_save_beside_it_is_no_damage(tiny_captioner, tmp_path):
    import transformers

    model = load(tiny_captioner.bundle)
    processor = transformers.AutoProcessor.from_pretrained(model.model_save_dir)
    for saved in (processor, model, processor, model):
        saved.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert caption(again, tiny_captioner) == caption(model, tiny_captioner)
    assert isinstance(transformers.AutoProcessor.from_pretrained(tmp_path), transformers.BlipProcessor)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_saving_replaces_a_bundle_and_leaves_everything_else_alone(tiny_captioner, tiny_vqa, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    load(tiny_captioner.bundle).save_pretrained(tmp_path)
    load(tiny_vqa.bundle).save_pretrained(tmp_path)
    assert load(tmp_path).bundle.manifest.architecture == "BlipForQuestionAnswering"
    assert (tmp_path / "notes.txt").read_text() == "mine"
    (tmp_path / "taken" / "blipvino").mkdir(parents=True)
    (tmp_path / "taken" / "blipvino" / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="is not a bundle, so it is left alone"):
        load(tiny_captioner.bundle).save_pretrained(tmp_path / "taken")
    with pytest.raises(OutputError):
        load(tiny_captioner.bundle).save_pretrained(tmp_path / "notes.txt")


def test_what_is_pushed_is_loaded_from_the_hub(hub, tiny_captioner, tmp_path):
    model = load(tiny_captioner.bundle)
    url = model.push_to_hub("me/captions", token="secret", commit_message="mine")
    assert url.startswith(f"{hub.url}/me/captions/commit/")
    assert {request.token for request in hub.requests} == {"secret"}
    assert model.push_to_hub("me/captions")  # again, into the repository that is there
    again = load("me/captions")
    assert caption(again, tiny_captioner) == caption(model, tiny_captioner)
    assert again.name_or_path == "me/captions" and (again.model_save_dir / "tokenizer.json").is_file()
    asked = len(hub.requests)
    offline = load("me/captions", local_files_only=True)
    assert len(hub.requests) == asked and offline.bundle.fingerprint == again.bundle.fingerprint
    elsewhere = load("me/captions", cache_dir=tmp_path / "cache")
    assert elsewhere.bundle.folder.is_relative_to(tmp_path / "cache")


def test_a_saved_folder_and_a_branch_are_pushed_too(hub, tiny_captioner, tmp_path):
    model = load(tiny_captioner.bundle)
    model.save_pretrained(tmp_path / "captions", push_to_hub=True, repo_id="me/saved")
    model.push_to_hub(tmp_path / "captions", "me/again", revision="eight")
    assert load("me/saved").bundle.fingerprint == load("me/again", revision="eight").bundle.fingerprint
    with pytest.raises(CheckpointError, match="no revision 'nine'"):
        load("me/again", revision="nine")


def test_a_hub_that_refuses_is_one_line(hub, tiny_captioner):
    model = load(tiny_captioner.bundle)
    hub.storage = None
    with pytest.raises(OutputError, match=r"me/mine: .* refused access \(HTTP 403\)"):
        model.push_to_hub("me/mine")
    with pytest.raises(OutputError, match="is no hub id"):
        model.push_to_hub("a/b/c")
    with pytest.raises(CheckpointError, match="was not found at"):
        load("me/nothing")
    with pytest.raises(CheckpointError, match="local_files_only is set"):
        load("me/nothing", local_files_only=True)
    with pytest.raises(TypeError, match="colour"):
        model.push_to_hub("me/mine", colour="red")


def test_a_checkpoint_on_the_hub_is_exported(hub, tiny_captioner):
    hub.repositories["them/captions"] = {"main": tiny_captioner.folder}
    model = load("them/captions", export=True)
    assert model.bundle.manifest.source.name == "them/captions"
    with pytest.raises(BundleError, match="holds no bundle; export=True makes one"):
        load("them/captions", export=False)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"export": True}, "is a bundle already; leave out export=True"),
        ({"quantization_config": "int8"}, "compressed already; leave out quantization_config"),
        ({"device": "GPU"}, "device GPU is not there"),
        ({"device": "cuda"}, "device CUDA is not there"),
        ({"ov_config": {"COLOUR": "red"}}, "COLOUR is no setting"),
        ({"quantization_config": "int3"}, "no recipe 'int3'"),
    ],
)
def test_what_does_not_fit_a_bundle_is_one_line(tiny_captioner, options, says):
    with pytest.raises(BlipvinoError, match=says):
        load(tiny_captioner.bundle, **options)


def test_a_model_of_another_kind_is_named(tiny_captioner, tmp_path):
    with pytest.raises(InputError, match="is a BlipForConditionalGeneration; OVBlipForQuestionAnswering runs"):
        OVBlipForQuestionAnswering.from_pretrained(tiny_captioner.bundle)
    with pytest.raises(InputError, match="model_id is ''"):
        load("")
    with pytest.raises(CheckpointError, match="neither a bundle"):
        load(tmp_path)
    with pytest.raises(TypeError, match="no option 'colour'"):
        load(tiny_captioner.bundle, colour="red")
    damaged = shutil.copytree(tiny_captioner.bundle, tmp_path / "damaged")
    (damaged / "vision.bin").write_bytes(b"no weights")
    with pytest.raises(BundleError, match="damaged"):
        load(damaged)


def test_options_of_transformers_that_mean_nothing_here_are_taken(tiny_captioner):
    model = load(tiny_captioner.bundle, dtype=torch.float16, device_map="auto", trust_remote_code=True)
    assert model.to(torch.device("cpu")).to(torch.float16) is model


def test_devices_by_openvinos_names(tiny_captioner):
    model = load(tiny_captioner.bundle)
    expected = caption(model, tiny_captioner)
    first = model.blip
    assert model.to("cpu").blip is first
    assert caption(model.to("auto"), tiny_captioner) == expected
    assert model.blip is not first
    with pytest.raises(InputError, match="device GPU is not there"):
        model.to("gpu")
    assert caption(model, tiny_captioner) == expected


def test_a_configuration_chooses_the_recipe(tiny_captioner):
    @dataclass
    class OVWeightQuantizationConfig:
        bits: int

        def to_dict(self):
            return {"bits": self.bits, "sym": False, "quant_method": "default", "dataset": None}

    made = load(tiny_captioner.folder, quantization_config=OVWeightQuantizationConfig(8)).bundle.manifest.recipe
    assert {treatment.method for treatment in made.treatments.values()} == {"weights_int8"}


def test_the_configuration_is_read_by_transformers(tiny_captioner, tmp_path):
    import transformers

    load(tiny_captioner.bundle).save_pretrained(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["model_type"] == "blip"
    vision = transformers.BlipVisionConfig.from_pretrained(tmp_path)
    assert vision.to_dict() == tiny_captioner.oracle.config.vision_config.to_dict()
