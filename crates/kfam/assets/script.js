// What makes the pages nicer where there is JavaScript; all of it works without.
"use strict";

// The name of a new namespace is checked while it is typed.
for (const input of document.querySelectorAll("input[data-check]")) {
  const answer = document.getElementById("name-answer");
  let latest = 0;
  let timer;
  const check = async () => {
    const number = ++latest;
    const name = input.value;
    if (name === "") {
      answer.textContent = "";
      return;
    }
    const response = await fetch(`${input.dataset.check}?name=${encodeURIComponent(name)}`).catch(() => null);
    const body = response && (await response.json().catch(() => null));
    // An answer to what was typed before says nothing any more; one that fails is left to the form.
    if (number !== latest || !body) return;
    answer.textContent = body.message;
    answer.className = body.free ? "answer good" : "answer bad";
    input.setAttribute("aria-invalid", String(!body.free));
  };
  input.addEventListener("input", () => {
    latest++;
    clearTimeout(timer);
    timer = setTimeout(check, 250);
  });
}

// What is not ready yet is followed: the parts of the page that have changed are taken from a fresh copy of it.
const follow = async () => {
  const response = await fetch(location.pathname, { cache: "no-store" }).catch(() => null);
  if (response && response.ok) {
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    const typing = document.activeElement && document.activeElement.closest("form");
    for (const part of document.querySelectorAll("[data-part]")) {
      const news = fresh.getElementById(part.id);
      if (!news || (typing && part.contains(typing))) continue;
      if (part.innerHTML !== news.innerHTML) part.replaceChildren(...news.childNodes);
    }
    again(fresh.querySelector("[data-live]"));
    return;
  }
  setTimeout(follow, 5000);
};
// The page says how many seconds to wait, if there is something to wait for.
const again = (live) => {
  if (live) setTimeout(follow, 1000 * Number(live.dataset.live));
};
again(document.querySelector("[data-live]"));
