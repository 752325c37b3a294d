// What the console's pages do besides: live progress of a job, and copying. Every page works without.
"use strict";

// A part of a page that the server tells the progress of. At the end a job's page is asked for anew; a part that names its page
// takes its result from there, so that a form around it stays as it is filled in.
function follow(card) {
  const source = new EventSource(card.dataset.events);
  const part = (name, of = card) => of.querySelector(`[data-part="${name}"]`);
  source.addEventListener("error", () => {
    // Counted by another instance, or anew: the page knows.
    if (source.readyState === EventSource.CLOSED && card.dataset.page) finish(card, part);
  });
  source.addEventListener("message", (event) => {
    const job = JSON.parse(event.data);
    if (job.final) {
      source.close();
      if (card.dataset.page) finish(card, part);
      else location.reload();
      return;
    }
    part("message").textContent = job.message;
    part("count").textContent = job.count;
    const bar = part("bar");
    if (job.total > 0) {
      bar.max = job.total;
      bar.value = job.done;
    }
  });
}

async function finish(card, part) {
  const answer = await fetch(card.dataset.page);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(card.id);
  // Whose session has ended is asked to sign in by the link that is there.
  if (!fresh) return;
  part("message").textContent = part("message", fresh).textContent;
  part("rest").replaceWith(part("rest", fresh));
  if (fresh.dataset.events) {
    card.dataset.events = fresh.dataset.events;
    follow(card);
  }
}

for (const card of document.querySelectorAll("[data-events]")) follow(card);

// Copying a text; the button appears only where it can work.
for (const button of document.querySelectorAll("[data-copy]")) {
  const text = document.getElementById(button.dataset.copy);
  const copyStatus = document.getElementById(`${button.dataset.copy}-copy-status`);
  if (!text || !copyStatus || !navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text.value ?? text.textContent);
    copyStatus.textContent = "Copied";
  });
}
