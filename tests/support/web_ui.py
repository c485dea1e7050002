"""Temporal's Web UI as a person sees it: its pages in a browser, and pictures of them."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from playwright.async_api import BrowserContext, Locator, Page, async_playwright, expect

from devstack.running import StackInfo
from lab.parts.waiting import eventually_async
from tests.support.rpc_processes import ZONE

CALLER = "shop.nightly"
"""Who calls, as the Web UI shows it."""

CHROMIUM = "/usr/bin/chromium"
"""Debian's."""

PATIENCE = 30_000
"""Milliseconds that a page may take to show what is expected."""

_WIDTH, _HEIGHT = 1700, 1060
_SCALE = 1280 / _WIDTH
"""Of a picture: it is 1280 pixels wide."""

_SHOW_AS = """pairs => {
    const shown = text => pairs.reduce((now, [real, fake]) => now.replace(new RegExp(real, 'g'), fake), text)
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (texts.nextNode()) {
        const node = texts.currentNode
        if (!node.parentElement.closest('.cm-editor') && shown(node.data) !== node.data) node.data = shown(node.data)
    }
    // CodeMirror shows JSON, and puts right what others do to its text.
    for (const part of document.querySelectorAll('.cm-content')) {
        const view = (part.cmView ?? part.cmTile).view
        const text = view.state.doc.toString()
        view.dispatch({changes: {from: 0, to: text.length, insert: shown(text)}})
    }
}"""


@asynccontextmanager
async def chromium() -> AsyncIterator[BrowserContext]:
    """Run a headless browser in the zone of the stack's jobs. It asks no server for updates."""
    expect.set_options(timeout=PATIENCE)
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        context = await browser.new_context(
            viewport={"width": _WIDTH, "height": _HEIGHT},
            device_scale_factor=_SCALE,
            color_scheme="light",
            timezone_id=ZONE,
            locale="en-US",
        )
        context.set_default_timeout(PATIENCE)
        try:
            yield context
        finally:
            await browser.close()


@dataclass
class WebUi:
    """The Web UI of a stack in a window of its own."""

    page: Page
    stack: StackInfo
    pictures: Path | None
    """Folder for pictures; None: none are made."""
    shown_as: Mapping[str, str]
    """Patterns of texts of this machine, and what pictures have in their place."""

    @property
    def _namespace(self) -> str:
        return f"{self.stack.web_ui}/namespaces/{self.stack.temporal_namespace}"

    async def _open(self, address: str) -> None:
        await self.page.goto(address, wait_until="commit")

    async def reload(self) -> None:
        """Open the page anew; not all that it shows is brought up to date."""
        await self.page.reload(wait_until="commit")

    async def schedules(self) -> None:
        """Open the list of schedules."""
        await self._open(f"{self._namespace}/schedules")

    async def schedule(self, scheduler_id: str) -> None:
        """Open the page of a schedule."""
        await self._open(f"{self._namespace}/schedules/{quote(scheduler_id, safe='')}")

    async def runs(self, query: str) -> None:
        """Open the list of runs that fit a query."""
        await self._open(f"{self._namespace}/workflows?query={quote(query)}")

    async def run(self, run_id: str) -> None:
        """Open the page of a run by the link that the product prints; the list in which it is looked up lags."""
        heading, missing = self.page.get_by_test_id("workflow-id-heading"), self.page.get_by_text("Error: 404")

        async def is_found() -> bool:
            await self._open(self.stack.run_page(run_id))
            await expect(heading.or_(missing)).to_be_visible()
            return await heading.is_visible()

        await eventually_async(is_found)
        await expect(heading).to_contain_text(run_id)

    async def tab(self, name: str) -> None:
        """Go to a tab of the page of a run."""
        await self.page.get_by_test_id(f"{name.lower().replace(' ', '-')}-tab").click()

    @property
    def status(self) -> Locator:
        """The status of the run or schedule whose page is open; it is written in capital letters."""
        return self.page.get_by_test_id("execution-status").first

    @property
    def result(self) -> Locator:
        """The result or failure of the run whose page is open."""
        return self.page.get_by_test_id("input-and-result").locator("> div").filter(has_text="Result")

    @property
    def activities(self) -> Locator:
        """The pending activities of the run whose page is open."""
        return self.page.locator("main")

    def metadata(self, part: str) -> Locator:
        """Return what the tab User Metadata shows as `summary`, `details` or `current-details`."""
        return self.page.frame_locator(f"#user-metadata-{part}").locator("body")

    async def filter_by(self, attribute: str, value: str) -> None:
        """Let a list show only what has this value, as a person does it."""
        await self.page.get_by_test_id("add-filter-button").click()
        await self.page.get_by_role("menuitem", name=f"{attribute} Keyword").click()
        await self.page.get_by_test_id(f"dropdown-filter-chip-{attribute}-0-text").fill(value)
        await self.page.get_by_test_id("apply-filter-button").click()

    @property
    def rows(self) -> Locator:
        """The rows of the list that is open."""
        return self.page.locator("tbody tr")

    @staticmethod
    async def colour(part: Locator) -> tuple[int, int, int]:
        """Return the colour of a text: red, green and blue, each 0 to 255."""
        colour = await part.evaluate("part => getComputedStyle(part).color")
        red, green, blue = re.findall(r"\d+", colour)[:3]
        return int(red), int(green), int(blue)

    async def picture(self, name: str, height: int = _HEIGHT) -> None:
        """Make a picture of the window, if pictures are asked for."""
        if self.pictures is None:
            return
        await self.page.set_viewport_size({"width": _WIDTH, "height": height})
        for frame in self.page.frames:
            await frame.evaluate(_SHOW_AS, [*self.shown_as.items()])
        await self.page.screenshot(path=self.pictures / f"{name}.png", animations="disabled")
