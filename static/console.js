// What the console's pages do besides: live progress of a job, and copying. Every page works without.
"use strict";

// A job's page: the server tells each change; the last one asks for the whole page with the result.
for (const card of document.querySelectorAll("[data-events]")) {
  const source = new EventSource(card.dataset.events);
  const part = (name) => card.querySelector(`[data-job="${name}"]`);
  source.addEventListener("message", (event) => {
    const job = JSON.parse(event.data);
    if (job.final) {
      source.close();
      location.reload();
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

// Copying a text; the button appears only where it can work.
for (const button of document.querySelectorAll("[data-copy]")) {
  const text = document.getElementById(button.dataset.copy);
  const said = document.getElementById(`${button.dataset.copy}-said`);
  if (!text || !said || !navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text.value ?? text.textContent);
    said.textContent = "Copied";
  });
}
