"""Options of where the texts of photos are kept: sidecars and metadata."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from blipvino.cli.unused_options import refuse_unused
from blipvino.errors import InputError
from blipvino.photos.places import Describer, Place
from blipvino.photos.sidecar_names import Naming


class SidecarKind(StrEnum):
    """Of the files beside photos."""

    txt = "txt"
    xmp = "xmp"


SidecarOption = Annotated[
    list[SidecarKind],
    typer.Option(
        help="Write each text to a file beside its image: txt (photo.txt, as training sets have it) or xmp "
        "(photo.jpg.xmp, as photo libraries read it). May be given twice."
    ),
]
SidecarNameOption = Annotated[
    Naming | None,
    typer.Option(
        help="Name sidecars after the image's stem (photo.txt) or its full name (photo.jpg.txt).",
        show_default="stem for txt, full for xmp",
    ),
]
PrefixOption = Annotated[str, typer.Option(help='Put this before every text in txt sidecars, such as "sks dog, ".')]
SuffixOption = Annotated[str, typer.Option(help="Put this after every text in txt sidecars.")]
WriteMetadataFlag = Annotated[
    bool,
    typer.Option("--write-metadata", help="Write each text into its image: EXIF, IPTC and XMP. No pixel changes."),
]
KeepMtimeFlag = Annotated[bool, typer.Option("--keep-mtime", help="Images that are written to keep their time.")]
SkipExistingFlag = Annotated[
    bool, typer.Option("--skip-existing", help="Pass over images that have a text where it would be written.")
]
OverwriteFlag = Annotated[bool, typer.Option("--overwrite", help="Replace other texts that are there.")]


@dataclass(frozen=True)
class WritingOptions:
    """Where texts are kept. Every field is the option of its type."""

    sidecar: SidecarOption = ()  # type: ignore[assignment]  # typer gives lists
    sidecar_name: SidecarNameOption = None
    prefix: PrefixOption = ""
    suffix: SuffixOption = ""
    write_metadata: WriteMetadataFlag = False
    keep_mtime: KeepMtimeFlag = False
    skip_existing: SkipExistingFlag = False
    overwrite: OverwriteFlag = False

    def describer(self) -> Describer | None:
        """What writes the texts; None where they are printed alone.

        Raises:
            InputError: a library is missing.
        """
        from blipvino.files.beside import FileWriter
        from blipvino.photos.photo_metadata import PhotoMetadata
        from blipvino.photos.text_sidecars import TextSidecars
        from blipvino.photos.xmp_sidecars import XmpSidecars

        files, places = FileWriter(), list[Place]()
        if SidecarKind.txt in self.sidecar:
            places.append(TextSidecars(files, self.sidecar_name or Naming.stem, self.prefix, self.suffix))
        if SidecarKind.xmp in self.sidecar:
            places.append(XmpSidecars(files, self.sidecar_name))
        if self.write_metadata:
            places.append(PhotoMetadata(files, keep_mtime=self.keep_mtime))
        if not places:
            return None
        return Describer(places, skip_existing=self.skip_existing, overwrite=self.overwrite)


def check_writing(context: typer.Context, options: WritingOptions) -> None:
    """Refuse what has no effect beside the others, or contradicts them.

    Raises:
        InputError: an option does.
    """
    if SidecarKind.txt not in options.sidecar:
        refuse_unused(context, ("prefix", "suffix"), "without --sidecar txt")
    if not options.sidecar:
        refuse_unused(context, ("sidecar_name",), "without --sidecar")
    if not options.write_metadata:
        refuse_unused(context, ("keep_mtime",), "without --write-metadata")
        if not options.sidecar:
            refuse_unused(context, ("skip_existing", "overwrite"), "without --sidecar or --write-metadata")
    if options.skip_existing and options.overwrite:
        raise InputError("--skip-existing leaves what --overwrite would replace; give one of them")
    for name in ("prefix", "suffix"):
        if "\n" in getattr(options, name):
            raise InputError(f"--{name} has a line break; a txt sidecar is one line")
