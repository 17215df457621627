"""Opening a page in a browser, where there is one."""

import pytest

from blipvino.cli import browser


@pytest.mark.parametrize(
    ("environment", "name", "opened"),
    [({}, "firefox", False), ({"DISPLAY": ":0"}, "firefox", True), ({"WAYLAND_DISPLAY": "w"}, "w3m", False)],
)
def test_a_browser_is_opened_only_where_it_has_a_window(environment, name, opened, monkeypatch, tmp_path):
    class Browser:
        def __init__(self):
            self.name = name

        def open(self, url):
            assert url == (tmp_path / "page.html").as_uri()
            return True

    monkeypatch.setattr(browser.sys, "platform", "linux")
    monkeypatch.setattr(browser.webbrowser, "get", Browser)
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert browser.open_page(tmp_path / "page.html") is opened


def test_no_browser_is_no_failure(monkeypatch, tmp_path):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(browser.webbrowser, "get", lambda: (_ for _ in ()).throw(browser.webbrowser.Error("none")))
    assert browser.open_page(tmp_path / "page.html") is False
