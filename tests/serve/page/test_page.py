"""The page, used in a browser as a person would."""

from __future__ import annotations

import json
import re

import pytest
from browsers import opened, violations
from subjects import scene_image

expect = pytest.importorskip("playwright.sync_api", reason="the page's tests need playwright").expect

QUESTION = "how many objects are there?"
LATENCY = re.compile(r"^(\d+ ms|\d+\.\d\d s)(, first word after .*)?$")
SCREENS = [
    (360, "dark"),
    *(pytest.param(*screen, marks=pytest.mark.slow) for screen in ((360, "light"), (1280, "dark"))),
]


def give(page, picture):
    page.locator("#file").set_input_files(picture)


def texts(page, turn):
    """What each model said in a turn, when it is whole."""
    answers = page.locator("#turns > li").nth(turn).locator(".answer")
    expect(answers).not_to_have_count(0)
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    for place in range(answers.count()):
        expect(answers.nth(place).locator(".time")).to_have_text(LATENCY)
    return answers.locator(".text").all_inner_texts()


def ask(page, question):
    page.get_by_label("Question about the picture").fill(question)
    page.keyboard.press("Enter")


def refuse(page, path, status, times, **headers):
    """Have the server refuse a path so many times."""
    left = [times]

    def answer(route):
        left[0] -= 1
        if left[0] < 0:
            route.continue_()
        else:
            content = json.dumps({"error": {"message": "not now"}})
            route.fulfill(status=status, body=content, headers={"Content-Type": "application/json", **headers})

    page.route(f"**/{path}", answer)


def test_a_picture_is_described_and_asked_about(page, picture, lone, small):
    kinds = []
    page.on("response", lambda response: "/v1/" in response.url and kinds.append(response.headers["content-type"]))
    give(page, picture)
    image = scene_image(0)
    assert texts(page, 0) == [small.caption(image), lone.caption(image)]
    expect(page.locator("#turns .who")).to_have_text([re.compile("^small"), re.compile("^demo")])
    expect(page.locator("#told")).to_contain_text(lone.caption(image))
    expect(page.get_by_role("img", name="The picture: first.png")).to_be_visible()
    for turn, question in enumerate((QUESTION, "what color is the circle?"), 1):
        ask(page, question)
        assert texts(page, turn) == [small.answer(image, question), lone.answer(image, question)]
        expect(page.locator("#turns > li").nth(turn).locator("h3")).to_have_text(question)
        expect(page.get_by_label("Question about the picture")).to_be_focused()
        expect(page.get_by_label("Question about the picture")).to_have_value("")
    assert [kind.partition(";")[0] for kind in kinds if "json" not in kind] == 6 * ["text/event-stream"]


def test_one_model_alone_may_be_asked(page, picture, lone):
    page.get_by_label("small").uncheck()
    give(page, picture)
    assert texts(page, 0) == [lone.caption(scene_image(0))]
    page.get_by_label("demo").uncheck()  # of none, the first is asked
    ask(page, QUESTION)
    assert len(texts(page, 1)) == 1


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(page, picture, lone, way):
    bring = """([bytes, way]) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(bytes)], "brought.png", { type: "image/png" }));
        const more = { bubbles: true, cancelable: true };
        const pasted = new ClipboardEvent("paste", { clipboardData: data, ...more });
        if (way === "paste") return document.dispatchEvent(pasted);
        const told = (name) => document.body.dispatchEvent(new DragEvent(name, { dataTransfer: data, ...more }));
        told("dragenter");
        const shown = !document.getElementById("over").hidden;
        return [shown, told("dragover"), told("drop"), document.getElementById("over").hidden];
    }"""
    done = page.evaluate(bring, [list(picture["buffer"]), way])
    assert done == ([True, False, False, True] if way == "drop" else False)  # the browser's own way was prevented
    assert texts(page, 0)[1] == lone.caption(scene_image(0))


def test_a_picture_is_taken(page):
    page.get_by_role("button", name="Camera").click()
    dialog = page.get_by_role("dialog", name="Take a picture")
    expect(dialog.locator("video")).to_have_js_property("videoWidth", 640)
    dialog.get_by_role("button", name="Take it").click()
    assert all(texts(page, 0))
    expect(page.locator("#shown figcaption")).to_have_text("photo.jpg")
    assert page.evaluate("document.querySelector('video').srcObject") is None


def test_a_large_picture_becomes_smaller(page):
    """As a phone takes it; the model sees no more of it."""
    sizes = """async () => {
        const { prepared } = await import("./page/pictures.js");
        const canvas = new OffscreenCanvas(4000, 3000);
        canvas.getContext("2d").fillRect(0, 0, 9, 9);
        const type = "image/jpeg";
        const made = await prepared(new File([await canvas.convertToBlob({ type })], "large.jpg", { type }));
        const [sent, small] = await Promise.all([createImageBitmap(made.file), createImageBitmap(made.small)]);
        return [sent.width, sent.height, small.width, small.height];
    }"""
    assert page.evaluate(sizes) == [1280, 960, 256, 192]


def test_samples_are_used_by_the_keyboard_alone(page, lone):
    page.get_by_role("button", name="Use sample 2").focus()
    page.keyboard.press("Enter")
    assert texts(page, 0)[1] == lone.caption(scene_image(1))


def test_where_the_focus_goes(page, picture):
    give(page, picture)
    texts(page, 0)
    page.reload()
    page.get_by_role("link", name="History").click()
    page.locator(".entry").click()
    page.locator("h1").click()  # what follows is reached from there
    seen = []
    for _ in range(24):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.innerText.trim()"))
    expected = ["Picture", "Search", "History", "open-settings", "choose", "shoot", "alike"]
    expected += ["Sample pictures"] + [f"Use sample {number + 1}" for number in range(8)] + ["", "", "question", "send"]
    assert seen[: len(expected)] == expected  # the two without a name of their own are the models' boxes
    page.goto("/#history")
    page.reload()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    expect(page.get_by_role("heading", name="History")).to_be_visible()


def test_photos_are_found(page, picture, both):
    page.get_by_role("link", name="Search").click()
    page.get_by_label("What the photos show").fill("a red cross")
    page.keyboard.press("Enter")
    hits = page.locator("#hits button")
    expect(hits).to_have_count(5)
    expect(page.locator("#found")).to_have_text("5 photos, best first.")
    asked = page.request.post(f"{both}/v1/search", data={"text": "a red cross", "top": 24})
    names = [hit["path"].rpartition("/")[2] for hit in asked.json()["hits"]]
    assert hits.locator("strong").all_inner_texts() == names
    assert page.evaluate("[...document.querySelectorAll('#hits img')].every((image) => image.naturalWidth === 96)")
    hits.first.click()
    expect(page.locator("#shown figcaption")).to_have_text(names[0])
    assert all(texts(page, 0))
    give(page, picture)
    texts(page, 0)
    page.get_by_role("button", name="Find similar").click()
    expect(page.locator("#found")).to_have_text("5 photos like the picture, best first.")
    expect(hits.first).to_contain_text("0.png")
    page.get_by_label("What the photos show").fill("a green triangle")
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_have_text("5 photos, best first. The text seems to fit none of them.")


def test_conversations_are_kept_until_they_are_deleted(page, picture, files, lone):
    give(page, picture)
    texts(page, 0)
    ask(page, QUESTION)
    told = [texts(page, 0), texts(page, 1)]
    give(page, {**picture, "name": "second.png", "buffer": files[1]})
    texts(page, 0)
    page.reload()
    page.get_by_role("link", name="History").click()
    entries = page.locator("#past .entry")
    expect(entries).to_have_count(2)
    expect(entries.nth(1)).to_contain_text("1 question")
    entries.nth(1).click()
    assert [texts(page, 0), texts(page, 1)] == told
    ask(page, "what color is the circle?")  # it goes on
    assert texts(page, 2)[1] == lone.answer(scene_image(0), "what color is the circle?")
    page.get_by_role("link", name="History").click()
    expect(entries.nth(1)).to_contain_text("2 questions")
    page.get_by_role("button", name=f"Delete {told[0][0]}").click()
    expect(entries).to_have_count(1)
    page.get_by_role("button", name="Delete all").click()
    page.get_by_role("button", name="Keep it").click()
    expect(entries).to_have_count(1)
    page.get_by_role("button", name="Delete all").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete all").click()
    expect(entries).to_have_count(0)
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Keep pictures and conversations").uncheck()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Picture").click()
    give(page, picture)
    texts(page, 0)
    page.get_by_role("link", name="History").click()
    expect(page.locator("#history-hint")).to_have_text("No history is kept; Settings changes that.")
    expect(entries).to_have_count(0)


def test_colours_are_chosen(page):
    background = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(background)
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Colours").select_option("dark")
    page.get_by_role("button", name="Save").click()
    assert page.evaluate(background) != before
    page.reload()
    assert page.evaluate(background) != before


def test_a_key_is_asked_for_and_kept_as_long_as_is_wished(page):
    """The server refuses whoever brings none (tests/serve/test_guards.py)."""

    def guard(route):
        if route.request.headers.get("authorization") == "Bearer sesame":
            return route.continue_()
        return route.fulfill(status=401, json={"error": {"message": "no valid API key"}})

    page.route("**/v1/**", guard)
    page.reload()
    for key in ("wrong", "sesame"):
        page.get_by_role("button", name="Enter it").click()
        page.get_by_label("API key", exact=True).fill(key)
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#models")).to_be_visible()
    kept = "[localStorage.getItem('blipvino.key'), sessionStorage.getItem('blipvino.key')]"
    assert page.evaluate(kept) == [None, "sesame"]
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Remember the key in this browser").check()
    page.get_by_role("button", name="Save").click()
    assert page.evaluate(kept) == ["sesame", None]
    page.reload()
    expect(page.locator("#models")).to_be_visible()


def test_a_busy_server_is_asked_again(page, picture, lone):
    refuse(page, "v1/caption", 429, 1, **{"Retry-After": "1"})
    give(page, picture)
    expect(page.locator(".answer").first).to_contain_text("The server is busy.")
    assert texts(page, 0)[1] == lone.caption(scene_image(0))


def test_models_that_are_being_loaded_are_waited_for(page):
    refuse(page, "v1/served", 503, 1, **{"Retry-After": "1"})
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The models are being loaded")
    expect(page.get_by_role("alert")).to_contain_class("calm")
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator("#models")).to_be_visible()


def test_a_picture_that_comes_early_is_described_later(page, picture, lone):
    refuse(page, "v1/served", 503, 1, **{"Retry-After": "1"})
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("The models are being loaded")
    give(page, picture)
    expect(page.locator("#shown")).to_be_visible()
    assert texts(page, 0)[1] == lone.caption(scene_image(0))


def test_what_is_refused_is_told_and_may_be_tried_again(page, picture, lone):
    refuse(page, "v1/caption", 500, 2)
    give(page, picture)
    expect(page.locator(".answer.wrong .time")).to_have_text(["not now", "not now"])
    page.get_by_role("button", name="Try again").click()
    assert texts(page, 0)[1] == lone.caption(scene_image(0))
    expect(page.locator("#turns > li")).to_have_count(1)


def test_a_connection_that_ends_early_is_no_whole_text(page, picture):
    half = 'data: {"index": 0, "text": "a red"}\n\ndata: {"ind'
    page.route("**/v1/caption", lambda route: route.fulfill(body=half, headers={"Content-Type": "text/event-stream"}))
    give(page, picture)
    expect(page.locator(".answer.wrong .time").first).to_have_text("The connection ended before the text did.")
    expect(page.locator(".answer .text").first).to_have_text("a red")
    page.get_by_role("link", name="History").click()
    expect(page.locator("#past li")).to_have_count(0)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"a"}, "notes.txt is not a picture."),
        ({"name": "none.png", "mimeType": "image/png", "buffer": b""}, "none.png is empty."),
    ],
)
def test_what_is_no_picture(page, file, told):
    give(page, file)
    expect(page.get_by_role("alert")).to_contain_text(told)


def test_what_the_browser_cannot_show_is_the_servers_to_judge(page):
    give(page, {"name": "odd.heic", "mimeType": "image/heic", "buffer": b"no picture"})
    expect(page.locator(".answer.wrong .time").first).to_contain_text("image")
    expect(page.get_by_role("img", name="This browser cannot show the picture")).to_be_attached()


def test_a_turn_is_stopped(page, picture):
    page.route("**/v1/caption", lambda _: None)  # never answered
    give(page, picture)
    stop = page.get_by_role("button", name="Stop")
    assert stop.evaluate("element => getComputedStyle(element).borderTopColor") != "rgba(0, 0, 0, 0)"
    stop.click()
    expect(page.locator(".answer .time").first).to_have_text("Stopped.")
    expect(page.get_by_label("Question about the picture")).to_be_focused()
    page.unroute("**/v1/caption")
    page.get_by_role("button", name="Try again").click()
    assert all(texts(page, 0))


def test_a_new_picture_ends_what_was_told_of_the_last(page, picture, files, lone):
    held = []
    page.route("**/v1/caption", lambda route: held.append(route) if not held else route.continue_())
    give(page, picture)
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    give(page, {**picture, "name": "second.png", "buffer": files[1]})
    assert texts(page, 0)[1] == lone.caption(scene_image(1))
    expect(page.locator("#turns > li")).to_have_count(1)
    expect(page.locator("#shown figcaption")).to_have_text("second.png")


def test_of_two_pictures_the_later_is_shown_though_the_earlier_takes_longer(page, picture, files):
    late = """() => {
        const real = createImageBitmap;
        const waiting = [];
        window.release = () => waiting.forEach((go) => go());
        window.createImageBitmap = async (file) => {
            if (file.name === "first.png") await new Promise((go) => waiting.push(go));
            return real(file);
        };
    }"""
    page.evaluate(late)
    give(page, picture)
    give(page, {**picture, "name": "second.png", "buffer": files[1]})
    told = texts(page, 0)
    page.evaluate("release()")
    page.evaluate("new Promise((go) => setTimeout(go, 300))")
    expect(page.locator("#shown figcaption")).to_have_text("second.png")
    assert texts(page, 0) == told


def test_texts_are_no_markup(page, picture):
    name = "<img src=x onerror=alert(1)>.png"
    give(page, {**picture, "name": name})
    texts(page, 0)
    ask(page, "<b>how many</b> objects?")
    texts(page, 1)
    expect(page.locator("#shown figcaption")).to_have_text(name)
    expect(page.locator("#turns b, #turns img, figcaption img")).to_have_count(0)


def test_a_server_that_only_describes_or_only_searches(page, picture):
    told = page.request.get("/v1/served").json()
    demo, finder = told["models"][1:]
    page.route(
        "**/v1/served", lambda route: route.fulfill(json={"models": [{**demo, "tasks": ["caption"]}], "indexes": []})
    )
    page.reload()
    expect(page.locator("#models")).to_be_hidden()
    expect(page.locator("nav a[data-view=search]")).to_be_hidden()
    give(page, picture)
    texts(page, 0)
    expect(page.locator("#ask")).to_be_hidden()
    page.unroute("**/v1/served")
    page.route("**/v1/served", lambda route: route.fulfill(json={"models": [finder], "indexes": told["indexes"]}))
    page.reload()
    expect(page.locator("#empty")).to_have_text("No model here describes pictures. Photos can be searched.")
    give(page, picture)
    page.get_by_role("button", name="Find similar").click()
    expect(page.locator("#hits li")).to_have_count(5)


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_everybody_can_use_it(browser, both, picture, width, scheme):
    """By axe-core, in every view; and nothing is wider than the screen."""
    long = {**picture, "name": f"{'long' * 40}.png"}
    with opened(browser, both, viewport={"width": width, "height": 740}, color_scheme=scheme) as page:
        expect(page.locator("#models")).to_be_visible()
        assert violations(page) == []
        give(page, long)
        texts(page, 0)
        ask(page, f"{'how' * 60} many?")
        texts(page, 1)
        assert violations(page) == []
        page.get_by_role("link", name="Search").click()
        page.get_by_label("What the photos show").fill("a red cross")
        page.keyboard.press("Enter")
        expect(page.locator("#hits li")).to_have_count(5)
        assert violations(page) == []
        page.get_by_role("link", name="History").click()
        expect(page.locator("#past li")).to_have_count(1)
        assert violations(page) == []
        for view in ("picture", "search", "history"):
            page.goto(f"/#{view}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("button", name="Settings").click()
        assert violations(page) == []
