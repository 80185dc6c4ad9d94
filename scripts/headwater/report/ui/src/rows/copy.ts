/** Texts for the clipboard and for files. */

/** Whether the clipboard took it. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text); // where a page has no right to the clipboard
  }
}

function copyBySelection(text: string): boolean {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "sr";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

/** Copy selected tokens as the text that they are: no signs, numbers or names between. */
export function copyReal(event: ClipboardEvent): void {
  const selection = document.getSelection();
  if (!event.clipboardData || !selection?.rangeCount) return;
  const chosen = document.createElement("div");
  chosen.append(selection.getRangeAt(0).cloneContents());
  for (const beside of chosen.querySelectorAll("sup, small, .border")) beside.remove();
  for (const mark of chosen.querySelectorAll<HTMLElement>("[data-real]"))
    mark.textContent = mark.dataset.real ?? "";
  event.clipboardData.setData("text/plain", chosen.textContent ?? "");
  event.preventDefault();
}

/** Offer lines as a file, under a name of harmless letters. */
export function download(name: string, lines: string[], type: string): void {
  const blob = new Blob(
    lines.map((line) => `${line}\n`),
    { type },
  );
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name.replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 120);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
