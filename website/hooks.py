"""MkDocs calls these functions while it builds the site (``hooks`` in mkdocs.yml)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from website.command_pages import command_page
from website.http_pages import http_page
from website.notebook_pages import notebook_page
from website.notebook_runs import NAMES, saved

ROOT = Path(__file__).parents[1]
_SEARCH = 'data-md-component="search" role="dialog"'
_PACKAGES = ROOT / ".browser/node_modules"
_MERMAID, _WORKER = "assets/mermaid.min.js", "assets/iframe-worker.js"
_SCRIPTS = {
    _MERMAID: _PACKAGES / "mermaid/dist/mermaid.min.js",
    _WORKER: _PACKAGES / "iframe-worker/shim/index.js",
}
"""What the theme would load from elsewhere; `make browser` fetches it, and without it the site does without."""


@event_priority(-100)  # after the plugin that names a script of elsewhere
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Have the script by which searching works in files that are opened without a server come from the site itself."""
    config.extra["polyfills"] = [_WORKER] if _SCRIPTS[_WORKER].is_file() else []
    return config


@event_priority(100)  # before the plugins that list all files
def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code, so that they cannot be older than it."""
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    made = {
        "cli.md": command_page(),
        "http-api.md": http_page(),
        "changelog.md": changes.replace("](docs/", "]("),
    }
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    for notebook in NAMES:
        page = notebook_page(saved(notebook))
        files.append(File.generated(config, f"{notebook}.md", content=page.text))
        for name, picture in page.pictures.items():
            files.append(File.generated(config, name, content=picture))
    for name, script in _SCRIPTS.items():
        if script.is_file():
            files.append(File.generated(config, name, abs_src_path=str(script)))
    return files


def on_page_markdown(markdown: str, *, config: MkDocsConfig, **_: object) -> str:
    """Have links to notebooks, as they work in the repository, lead to their pages, and links that are called by a
    file's name called as the page is.
    """
    markdown = re.sub(r"\]\(\.\./notebooks/([\w-]+)\.ipynb\)", r"](\1.md)", markdown)
    titles = _titles(config.nav)
    return re.sub(r"\[([\w-]+\.md)\]\(\1", lambda link: f"[{titles.get(link[1], link[1])}]({link[1]}", markdown)


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:
    """Name the theme's dialog for searching, which has no name, and have diagrams drawn, on the pages that have any.

    Without the script that draws them they are shown as text.
    """
    output = output.replace(_SEARCH, f'{_SEARCH} aria-label="Search"')
    if 'class="mermaid"' not in output:
        return output
    if not _SCRIPTS[_MERMAID].is_file():
        return output.replace('class="mermaid"', 'class="diagram"')
    depth = page.url.count("/")
    return output.replace("</body>", f'<script src="{"../" * depth}{_MERMAID}"></script></body>')


def _titles(nav: Any) -> dict[str, str]:
    """What pages are called in the navigation, by their files."""
    if isinstance(nav, dict):
        named = {file: title for title, file in nav.items() if isinstance(file, str)}
        return named | _titles([below for below in nav.values() if isinstance(below, list)])
    if isinstance(nav, list):
        return {file: title for entry in nav for file, title in _titles(entry).items()}
    return {}
