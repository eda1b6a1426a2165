// The review bar. It keeps `at` and `comments`; Python saves what changes in them.

const MARKS = { accepted: "✓", commented: "✎", left: "○" };
const WORDS = { accepted: "accepted", commented: "commented", left: "not reviewed yet" };

function element(parent, tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text; // names of cases are data, never markup
  parent.append(made);
  return made;
}

function button(parent, label, key, act, className = "") {
  const made = element(parent, "button", className, label);
  made.type = "button";
  if (key) element(made, "kbd", "", key).setAttribute("aria-hidden", "true");
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

function isTyping(event) {
  const target = event.composedPath()[0];
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName ?? "");
}

function render({ model, el }) {
  const cases = model.get("cases");
  const drafts = new Map(); // typed and not saved, by case
  let note = "";

  const bar = element(el, "div", "ek-bar");
  const progress = element(bar, "div", "row");
  const count = element(progress, "span", "name");
  const detail = element(progress, "span", "muted grow");
  const kept = element(progress, "span", "muted");
  const track = element(bar, "div", "track");
  track.setAttribute("role", "progressbar");
  const accepted = element(track, "div", "part accepted");
  const commented = element(track, "div", "part commented");

  const moves = element(bar, "div", "row");
  const previous = button(moves, "Previous", "k", () => go(at() - 1));
  const picker = element(moves, "select", "grow");
  picker.setAttribute("aria-label", "Case");
  cases.forEach((name) => element(picker, "option"));
  picker.addEventListener("change", () => { go(picker.selectedIndex); picker.blur(); });
  const next = button(moves, "Next", "j", () => go(at() + 1));
  const left = button(moves, "Next not reviewed", "n", () => go(nextLeft()));

  const contest = element(bar, "div", "row contest");
  contest.setAttribute("role", "alert");
  const other = element(contest, "span", "grow");
  button(contest, "Keep theirs", "", () => settle(model.get("saved")[current()]));
  button(contest, "Replace with mine", "", () => settle(comments()[current()]));

  const text = element(bar, "textarea");
  text.setAttribute("aria-label", "Comment");
  text.placeholder = "What should be better? Accept the case if there is nothing.";
  text.addEventListener("input", () => { drafts.set(current(), text.value); note = ""; show(); });

  const acts = element(bar, "div", "row");
  const state = element(acts, "span", "chip");
  const said = element(acts, "span", "muted grow");
  said.setAttribute("role", "status");
  const back = button(acts, "Take back", "", () => say(null));
  const comment = button(acts, "Comment", "c", remark);
  button(acts, "Accept", "a", accept, "yes");

  const at = () => Math.min(model.get("at"), cases.length - 1);
  const current = () => cases[at()];
  const comments = () => model.get("comments");
  const kind = (name) =>
    !(name in comments()) ? "left" : comments()[name] ? "commented" : "accepted";
  const isDraft = () =>
    drafts.has(current()) && drafts.get(current()).trim() !== (comments()[current()] ?? "");

  function isSaved() {
    const [said, saved] = [comments(), model.get("saved")];
    const names = new Set([...Object.keys(said), ...Object.keys(saved)]);
    return [...names].every((name) => said[name] === saved[name]);
  }

  function nextLeft() {
    const order = [...cases.keys()].map((step) => (at() + 1 + step) % cases.length);
    return order.find((place) => kind(cases[place]) === "left") ?? at();
  }

  function go(place) {
    if (place < 0 || place >= cases.length || place === at()) return;
    note = "";
    model.set("at", place);
    model.save_changes();
    show();
  }

  function say(comment) {
    const name = current();
    const all = { ...comments() };
    drafts.delete(name);
    if (comment === null) delete all[name];
    else all[name] = comment;
    model.set("comments", all);
    note = comment === null ? `${name}: taken back` : `${name}: ${comment ? "commented" : "accepted"}`;
    const last = comment !== null && cases.every((each) => each in all);
    if (last) note += ". That was the last one; every case is reviewed.";
    if (comment !== null) model.set("at", nextLeft());
    model.save_changes();
    show();
  }

  // Somebody else said something of this case meanwhile: `comment` is what stays, theirs or mine.
  function settle(comment) {
    const [name, theirs, all] = [current(), { ...model.get("theirs") }, { ...comments() }];
    delete theirs[name];
    if (comment === undefined) delete all[name];
    else all[name] = comment;
    drafts.delete(name);
    model.set("theirs", theirs);
    model.set("comments", all);
    model.save_changes();
    show();
  }

  function quoted(comment) {
    if (comment === undefined || comment === null) return "not reviewed";
    return comment ? `“${comment}”` : "accepted";
  }

  function accept() {
    const name = current();
    if (isDraft() && drafts.get(name).trim()) {
      note = "There is a comment that is not saved: save it, or empty the box and accept.";
      return show();
    }
    const earlier = comments()[name];
    say("");
    if (earlier) { // a key pressed in error loses nothing
      drafts.set(name, earlier);
      note = `${name}: accepted; its earlier comment waits in its box, to be saved again`;
      show();
    }
  }

  function remark() {
    if (isDraft() && text.value.trim()) { text.blur(); say(text.value.trim()); }
    else text.focus();
  }

  function show() {
    const kinds = cases.map(kind);
    const of = (wanted) => kinds.filter((each) => each === wanted).length;
    const done = cases.length - of("left");
    count.textContent = `${done} of ${cases.length} reviewed`;
    detail.textContent =
      `${of("accepted")} accepted, ${of("commented")} commented, ${of("left")} left`;
    kept.textContent = isSaved() ? "saved in review.yaml" : "saving…";
    const contested = Object.keys(model.get("theirs"));
    if (contested.length) kept.textContent = `not saved: ${contested.join(", ")}`;
    accepted.style.width = `${(100 * of("accepted")) / cases.length}%`;
    commented.style.width = `${(100 * of("commented")) / cases.length}%`;
    track.setAttribute("aria-valuenow", String(Math.round((100 * done) / cases.length)));
    cases.forEach((name, place) => {
      const words = `${MARKS[kinds[place]]} ${name}  (${place + 1} of ${cases.length})`;
      if (picker.options[place].textContent !== words) picker.options[place].textContent = words;
    });
    picker.selectedIndex = at();
    previous.disabled = at() === 0;
    next.disabled = at() === cases.length - 1;
    left.disabled = nextLeft() === at();
    contest.style.display = contested.includes(current()) ? "" : "none";
    other.textContent =
      `Somebody else changed this case meanwhile. Theirs, which stands in review.yaml: ` +
      `${quoted(model.get("saved")[current()])}. Yours, not saved: ${quoted(comments()[current()])}.`;
    const typed = drafts.get(current()) ?? comments()[current()] ?? "";
    if (text.value !== typed) text.value = typed;
    state.className = `chip is-${kinds[at()]}`;
    state.textContent = isDraft() ? `${WORDS[kinds[at()]]}, edited` : WORDS[kinds[at()]];
    said.textContent = note;
    back.disabled = kinds[at()] === "left";
    const saves = isDraft() && text.value.trim();
    comment.firstChild.textContent = saves ? "Save comment" : "Comment";
    comment.lastChild.textContent = saves ? "Ctrl ⏎" : "c";
    comment.setAttribute("aria-label", saves ? "Save comment" : "Comment");
  }

  const keys = {
    j: () => go(at() + 1), ArrowRight: () => go(at() + 1),
    k: () => go(at() - 1), ArrowLeft: () => go(at() - 1),
    n: () => go(nextLeft()), a: accept, c: () => text.focus(),
  };

  text.addEventListener("keydown", (event) => {
    if (event.key === "Escape") text.blur();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      remark();
    }
    event.stopPropagation(); // the page's own shortcuts are not meant
  });

  function onKey(event) {
    if (!bar.isConnected || event.defaultPrevented || isTyping(event)) return;
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  }

  document.addEventListener("keydown", onKey);
  const heard = ["change:at", "change:comments", "change:saved", "change:theirs"];
  heard.forEach((event) => model.on(event, show));
  show();
  return () => {
    document.removeEventListener("keydown", onKey);
    heard.forEach((event) => model.off(event, show));
  };
}

export default { render };
