// Keeps the parts of a page that are marked as live fresh, as long as somebody looks; without it the page is read anew.
const EVERY_MILLISECONDS = 10000;

function isBusy(part) {
  return part.contains(document.activeElement) || part.contains(document.getSelection().anchorNode);
}

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch(location.href, { redirect: "error" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("section[data-live]")) {
    const other = fresh.querySelector(`section[data-live="${part.dataset.live}"]`);
    if (other && !isBusy(part)) part.replaceWith(document.importNode(other, true));
  }
}

async function follow() {
  await refresh().catch(() => {}); // the controller may be away: what stands there stays
  setTimeout(follow, EVERY_MILLISECONDS);
}

setTimeout(follow, EVERY_MILLISECONDS);
