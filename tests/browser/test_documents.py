"""Documents in the browser of rows: their titles are shown as text, and found."""

from test_titles import titled


def test_titles_are_seen_and_find_their_rows(plain_run, write, look, tmp_path) -> None:
    run = titled(tmp_path, plain_run)
    page = look(write(run, "titled")).rows("#rows?doc=another")
    spans, begins = run.spans
    count = sum(
        [0, 5] in spans[begins[row] : begins[row + 1], :2].tolist()
        for row in range(len(run.window))
    )
    left = page.page.locator("[data-testid=left]")
    left.filter(has_text=str(count)).wait_for()
    page.page.fill("[data-testid=doc]", "Water </script")
    page.page.wait_for_function("() => location.hash.includes('doc=Water')")
    page.settle()
    page.page.click(".row-line >> nth=0")
    source = page.page.locator(".opened .source").first
    source.filter(has_text="Water </script>").wait_for()
    assert "\\u202e" in source.inner_text()
    source.locator("button").first.click()
    page.page.wait_for_function("() => location.hash.includes('doc=00.jsonl.zst')")
    assert left.inner_text() != "0"
    page.quiet()
