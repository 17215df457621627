"""Where code blocks run: a folder with files that they name, and a hub whose checkpoints are small."""

from __future__ import annotations

import base64
import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from documentation.shell_blocks import check, pipelines, run_pipeline
from PIL import Image
from running_server import await_ready, command
from subjects import scene_image

from blipvino.data.export import export_world

SERVER = "http://127.0.0.1:8000"
_PLACES = {"/srv/photos": "photos", SERVER: SERVER}


@dataclass
class World:
    """A folder in which blocks run.

    Attributes:
        folder: it; the blocks' working directory.
        checkpoints: small ones that answer ("vqa") and retrieve ("itm").
        bundles: of them.
        names: that Python blocks find.
    """

    folder: Path
    checkpoints: dict[str, Path]
    bundles: dict[str, Path]
    names: dict[str, object] = field(default_factory=dict)
    _server: object = None
    _url: str = SERVER

    def __post_init__(self):
        self._picture("photo.jpg", 0)
        content = base64.b64encode((self.folder / "photo.jpg").read_bytes()).decode()
        self.names["data_url"] = f"data:image/jpeg;base64,{content}"

    def shell(self, source, *, runs):
        """Run the commands of a block, or check them."""
        for stages in pipelines(source):
            words = stages[0].words
            if not runs:
                check(stages)
            elif words[:2] == ["blipvino", "serve"]:
                self._serve(words[2:])
            else:
                self.prepare(" ".join(word for stage in stages for word in stage.words))
                for stage in stages:
                    stage.words = [self.placed(word) for word in stage.words]
                run_pipeline(stages, self.folder)

    def prepare(self, source):
        """Make the files that the source names and does not write itself."""
        written = re.findall(
            r"(?:-o|--output|-m) (\S+)|(?:optimize|export_\w+|write_bundle)\([^,()]+, \"([^\"]+)\"", source
        )
        for pattern, make in _MAKERS.items():
            for name in re.findall(rf"(?<![\w./-])({pattern})(?![\w-])", source):
                if name not in {each for pair in written for each in pair} and not (self.folder / name).exists():
                    make(self, name)

    def placed(self, source):
        """The source with places that are elsewhere here."""
        return source.replace(SERVER, self._url).replace("/srv/photos", "photos")

    def close(self):
        """End the server, if there is one."""
        if self._server is not None:
            self._server.__exit__(None, None, None)
            self._server = None

    def _serve(self, arguments):
        check_arguments = [self._stage(["blipvino", "serve", *arguments])]
        check(check_arguments)
        self.prepare(" ".join(argument.partition("=")[2] or argument for argument in arguments))
        if self._server is not None:  # the page goes on with the first
            with command(*arguments) as (_, url, _):
                await_ready(url)
            return
        self._server = command(*arguments)
        _, self._url, _ = self._server.__enter__()
        await_ready(self._url)

    @staticmethod
    def _stage(words):
        stage = next(pipelines("true"))[0]
        stage.words = words
        return stage

    def _picture(self, name, number):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene_image(number)).save(path)

    def _photos(self, name):
        for number in range(3):
            self._picture(f"{name}/{number}.jpg", number)

    def _bundle(self, name):
        shutil.copytree(self.bundles["vqa"], self.folder / name)

    def _finder(self, name):
        shutil.copytree(self.bundles["itm"], self.folder / name)

    def _checkpoint(self, name):
        shutil.copytree(self.checkpoints["vqa"], self.folder / name)

    def _dataset(self, _name):
        made = self.folder / "dataset-files"
        export_world(made, "validation", scenes=12)
        for source, target in (
            ("v2_OpenEnded_mscoco_validation_questions.json", "questions.json"),
            ("v2_mscoco_validation_annotations.json", "annotations.json"),
            ("captions_validation.json", "captions_val2017.json"),
            ("images", "val2014"),
            ("images", "val2017"),
            ("images", "train2014"),
        ):
            (self.folder / target).symlink_to(made / source)

    def _index(self, name):
        from blipvino import BlipRetriever
        from blipvino.retrieval import update_index

        if not (self.folder / "photos").exists():
            self._photos("photos")
        if not (self.folder / "blip-itm").exists():
            self._finder("blip-itm")
        update_index(name, ["photos"], BlipRetriever.load("blip-itm"))

    def _list(self, name):
        import pyarrow
        from pyarrow import parquet

        self._photos("photos")
        parquet.write_table(
            pyarrow.table({"path": [f"photos/{number}.jpg" for number in range(3)]}), self.folder / name
        )

    def _predictions(self, name):
        questions = json.loads((self.folder / "questions.json").read_text())["questions"]
        (self.folder / name).write_text(json.dumps([{**each, "answer": "2"} for each in questions]))

    def _answers(self, name):
        (self.folder / name).write_text("circle\nsquare\nstar\n")


_MAKERS = {
    "(?:a|b|c|photo|demo)\\.(?:jpg|png)": lambda world, name: world._picture(name, ord(name[0]) % 5),
    "photos|dataset|album|images": World._photos,
    "(?:blip-vqa(?:-int8|-fp16)?|captioner|my-bundle|out/demo/bundle)": World._bundle,
    "(?:blip-itm|itm|retrieval-int8)": World._finder,
    "(?:blip-vqa-checkpoint|my-blip|my-checkpoint)": World._checkpoint,
    "questions\\.json|captions_val2017\\.json": World._dataset,
    "photos\\.index": World._index,
    "list\\.parquet": World._list,
    "answers\\.json": World._predictions,
    "answers\\.txt": World._answers,
}
HUB = {
    "Salesforce/blip-vqa-base": "vqa",
    "Salesforce/blip-image-captioning-base": "vqa",
    "Salesforce/blip-itm-base-coco": "itm",
}
"""The hub's names of published checkpoints, and which of the small ones stands for each."""
