"""A page in the browser, and everything that it does which a reader would not see."""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "no Chromium here: `make test-browser` installs it, or set HEADWATER_CHROMIUM"
WIDE = {"width": 1280, "height": 900}
FIRST_ROW = "[data-testid=list] .row-line .start:not(:empty)"


def chromium() -> str | None:
    """The program to run."""
    found = (shutil.which(name) for name in NAMES)
    return os.environ.get("HEADWATER_CHROMIUM") or next(filter(None, found), None)


def launch(playwright: Playwright) -> Browser:
    """A Chromium without a network: no name is found, no address is reached."""
    path = chromium()
    assert path, MISSING
    options = ["--proxy-server=127.0.0.1:9", "--disable-background-networking"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")  # which root has not
    return playwright.chromium.launch(executable_path=path, args=options)


@dataclass
class Watched:
    """A page, and what it said and asked for.

    Attributes:
        said: messages of its console, errors that nobody caught, dialogs.
        asked: addresses beyond the file itself, those of its own workers apart.
    """

    page: Page
    address: str
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def folder(self) -> str:
        """The address of what the file stands in."""
        return self.address.rpartition("/")[0]

    def load(self, view: str = "", wait: str = "") -> "Watched":
        """Load the file anew at a view such as `#rows?s=loss`."""
        self.page.goto("about:blank")  # else only the hash would change
        self.page.goto(self.address + view)
        if wait:
            self.page.wait_for_selector(wait, state="attached")
        return self

    def rows(self, view: str = "#rows") -> "Watched":
        """Load it with its rows there."""
        return self.load(view, FIRST_ROW)

    def draw(self) -> None:
        """Draw every chart, as printing does."""
        self.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")

    def settle(self) -> None:
        """Wait until what was asked for is drawn: two frames, and no search runs."""
        self.page.evaluate(
            "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"
        )
        self.page.wait_for_function(
            "() => !document.querySelector('[data-testid=status]')"
            "?.textContent.includes('searching')"
        )

    def all(self, expression: str) -> Any:
        """What a JavaScript expression gives."""
        return self.page.evaluate(expression)

    def quiet(self) -> None:
        """Nothing was said, nothing asked for, and no text of the run has acted."""
        assert self.said == []
        assert self.asked == []
        assert self.all("window.canary") is None


def watched(browser: Browser, file: Path, **options: Any) -> Watched:
    """A page of its own context, which may be dark, narrow or without scripts."""
    context = browser.new_context(**{"viewport": WIDE, **options})
    context.set_default_timeout(30_000)
    found = Watched(context.new_page(), file.as_uri())
    page = found.page
    page.on("console", lambda message: found.said.append(message.text))
    page.on("pageerror", lambda error: found.said.append(str(error)))

    def refuse(dialog: Any) -> None:
        found.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def ask(request: Any) -> None:
        address = request.url.split("#")[0]
        if address != found.address and not address.startswith(("blob:", "about:")):
            found.asked.append(request.url)

    page.on("dialog", refuse)
    context.on("request", ask)
    context.on("page", lambda other: found.said.append(f"opened {other.url}"))
    return found
