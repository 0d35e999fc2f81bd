// The console works whole without this file. With it, pages follow what happens:
// the server says that something did (server-sent events), the page fetches
// itself again and swaps the parts marked data-live. No library, no eval.
(() => {
	"use strict";

	const body = document.body;
	const state = document.querySelector(".live");
	const banner = document.querySelector(".banner");
	let source = null, last = body.dataset.seq || "0", tries = 0, timer = 0;
	let busy = false, again = false, fetched = 0, known = 0, took = 0; // known: when what is shown was told
	const parted = body.dataset.parts !== undefined; // the stream tells what of the page has changed
	// Where the page is fetched again. One that answers a form is not where it came from: loading
	// that anew would send the form once more.
	const here = body.dataset.here || location.href;
	const anew = () => { if (body.dataset.here) location.replace(here); else location.reload(); };
	let title = document.title, unseen = "", ended = "", skew = 0; // skew: how far our clock is behind the appliance's, ms

	const say = (on, text) => {
		if (state) { state.dataset.state = on ? "on" : "off"; state.textContent = on ? "live" : text; }
		if (!banner) return;
		if (on || !text) { delete banner.dataset.on; banner.textContent = ""; } else { banner.dataset.on = ""; banner.textContent = text; }
	};

	// Times stand in UTC in the page; here they get the viewer's zone.
	const localTimes = root => {
		for (const el of root.querySelectorAll("time[datetime]")) {
			const t = new Date(el.dateTime);
			if (isNaN(t) || el.dataset.done) continue;
			const now = new Date(Date.now() + skew), day = t.toDateString() === now.toDateString() ? {} : { day: "numeric", month: "short" };
			if (t.getFullYear() !== now.getFullYear()) day.year = "numeric";
			el.title = el.dateTime;
			el.textContent = new Intl.DateTimeFormat(undefined, { ...day, hour: "2-digit", minute: "2-digit", second: el.dataset.s ? "2-digit" : undefined, timeZoneName: "short" }).format(t);
			el.dataset.done = "1";
		}
	};

	// A menu that is open would close under the hand that chooses from it. One that only has the
	// focus does not keep its part from changing.
	let chosen = 0, missed = false;
	for (const kind of ["pointerdown", "keydown"]) document.addEventListener(kind, e => { if (e.target.closest && e.target.closest("select")) chosen = Date.now(); });
	document.addEventListener("change", e => { if (e.target.tagName === "SELECT") chosen = 0; });
	const inUse = el => {
		const a = document.activeElement, used = a && el.contains(a) && a.tagName === "SELECT" && Date.now() - chosen < 20000;
		missed ||= used;
		return used;
	};

	// What changed is changed, and nothing else: focus, ticks, opened parts and
	// scrolled boxes stay as they are, and five hundred tiles cost what one costs.
	const keyOf = n => n.nodeType === 1 ? n.dataset.key || n.getAttribute("id") : "";
	const typedIn = el => el.matches("textarea, input:not([type=hidden], [type=checkbox], [type=radio])");
	const begins = (el, name) => name === "checked" || name === "selected" || name === "value" && typedIn(el); // what a field is filled with at first is not changed later
	const morph = (el, fresh) => {
		if (el.classList.contains("at")) fresh.classList.add("at"); // where keys have led
		if (el.isEqualNode(fresh)) return;
		for (const a of [...el.attributes]) if (!fresh.hasAttribute(a.name) && !begins(el, a.name)) el.removeAttribute(a.name);
		for (const a of fresh.attributes) if (el.getAttribute(a.name) !== a.value && !begins(el, a.name)) el.setAttribute(a.name, a.value);
		if (!typedIn(el)) morphChildren(el, fresh);
	};
	const AHEAD = 60; // how far one is looked for that has another place because others came or went
	const equalFrom = (n, to) => {
		for (let i = 0; n && i < AHEAD; i++, n = n.nextSibling) if (!keyOf(n) && n.isEqualNode(to)) return n;
		return null;
	};
	// One without a key: what stands at its place, unless that stands further on now, or it
	// stood further on itself.
	const unkeyed = (at, f) => {
		let old = at;
		while (old && keyOf(old)) old = old.nextSibling;
		if (!old || old === at && old.isEqualNode(f)) return old;
		return equalFrom(f.nextSibling, old) ? null : equalFrom(old, f) || old;
	};
	const morphChildren = (el, fresh) => {
		const wanted = new Set([...fresh.children].map(keyOf)), keyed = new Map();
		for (const n of [...el.children]) { // those that are gone leave first: the others need not be moved then
			const k = keyOf(n);
			if (k && wanted.has(k) && !keyed.has(k)) keyed.set(k, n); else if (k) n.remove();
		}
		let at = el.firstChild;
		for (const f of [...fresh.childNodes]) {
			const k = keyOf(f), old = k ? keyed.get(k) : unkeyed(at, f);
			keyed.delete(k);
			if (!k) while (old && at !== old && !keyOf(at)) { const next = at.nextSibling; at.remove(); at = next; }
			if (old && old.nodeType === f.nodeType && old.nodeName === f.nodeName) {
				if (old === at) at = at.nextSibling; else if (el.moveBefore) el.moveBefore(old, at); else el.insertBefore(old, at);
				if (f.nodeType === 1) morph(old, f); else if (old.nodeValue !== f.nodeValue) old.nodeValue = f.nodeValue;
			} else {
				el.insertBefore(f, at);
			}
		}
		while (at) { const next = at.nextSibling; at.remove(); at = next; }
	};
	// What a person made of a part is made of the fresh one, too, before they are compared.
	const ready = fresh => {
		localTimes(fresh);
		reachable(fresh);
		for (const d of fresh.querySelectorAll("details[id]")) { const ours = document.getElementById(d.id); if (ours) d.open = ours.open; }
	};
	const swap = (el, fresh) => {
		ready(fresh);
		el.className = fresh.className;
		if (fresh.dataset.layout) el.dataset.layout = fresh.dataset.layout;
		morphChildren(el, fresh);
		countTicks();
	};
	// What is in the middle of the window stays there, whatever comes and goes above it.
	const steady = change => {
		const seen = [], middle = innerHeight / 2;
		const across = el => { const { top, bottom } = el.getBoundingClientRect(); return top <= middle && middle < bottom && seen.unshift([el, top]); };
		if (scrollY > 0) for (let el = document.getElementById("main"); el; el = [...el.children].find(across));
		change();
		const still = seen.find(([el]) => el.isConnected);
		if (still) scrollBy({ top: still[0].getBoundingClientRect().top - still[1], behavior: "instant" });
	};

	// Parts that the appliance tells by themselves, as they are now. Where hosts have come, gone
	// or moved, the page is fetched instead.
	const place = news => {
		const shown = document.querySelector("[data-layout]");
		if (busy) again = true; // what is being fetched may be older
		if (news.layout !== undefined && !(news.layout && shown && shown.dataset.layout === news.layout)) { later(); return; }
		steady(() => {
			for (const [id, html] of Object.entries(news.html)) {
				const el = document.getElementById(id), box = document.createElement("template");
				if (!el || inUse(el)) continue;
				box.innerHTML = html;
				ready(box.content);
				morph(el, box.content.firstElementChild);
			}
		});
		fetched = known = Date.now();
		countTicks();
		announce();
	};

	// What was typed and not sent would be lost with the page.
	const begun = e => /^(checkbox|radio)$/.test(e.type) ? e.checked !== e.defaultChecked : e.tagName === "SELECT" ? [...e.options].some((o, i, all) => o.selected !== (all[0].parentElement.querySelector("[selected]") ? o.defaultSelected : i === 0)) : typedIn(e) && e.value !== e.defaultValue;
	const halfFilled = () => [...document.querySelectorAll("form[method=post]")].some(f => [...f.elements].some(begun));

	let stale = ""; // why the page is not as things are
	const keepStale = why => { stale = why; say(false, why); };
	const refresh = async () => {
		if (busy) { again = true; return; }
		busy = true; again = false;
		const began = Date.now();
		try {
			const answer = await fetch(here, { headers: { "X-Live": "1" }, credentials: "same-origin", redirect: "manual", cache: "no-store" });
			if (answer.type === "opaqueredirect" || answer.status === 401) { anew(); return; }
			if (answer.ok) {
				const page = new DOMParser().parseFromString(await answer.text(), "text/html");
				const now = page.querySelector("script[src]"), ours = document.querySelector("script[src]");
				if (now && ours && now.getAttribute("src") !== ours.getAttribute("src")) { // another version of the appliance
					if (!halfFilled()) { anew(); return; }
					keepStale("The appliance has another version by now. Send or copy what you have typed, then load this page anew.");
				} else {
					known = Date.now();
					if (stale) { stale = ""; say(true); }
					steady(() => {
						for (const fresh of page.querySelectorAll("[data-live]")) {
							const el = document.getElementById(fresh.id);
							if (el && !inUse(el)) swap(el, fresh);
						}
					});
					if (page.title) { title = page.title; document.title = unseen + title; }
					announce();
				}
			} else if (answer.status === 404) {
				keepStale("What this page is about is no longer here: it was removed. The page shows what was known last.");
			} else {
				keepStale(`This page cannot be brought up to date now (${answer.status}). It shows what was known last; trying again.`);
				setTimeout(later, 5000);
			}
		} catch { if (source && source.readyState === EventSource.OPEN) setTimeout(later, 3000); } // else the stream says when the appliance is back
		await fill();
		fetched = Date.now(); took = fetched - began; busy = false;
		if (again) later();
	};

	// The drawer at the bottom of every page is filled while it is open.
	const drawer = document.getElementById("drawer"), part = document.getElementById("drawer-part");
	const fill = async () => {
		if (!drawer || !drawer.open || document.hidden) return;
		try {
			const answer = await fetch("/activity/recent", { headers: { "X-Live": "1" }, credentials: "same-origin", redirect: "manual", cache: "no-store" });
			if (!answer.ok) return;
			const fresh = document.createElement("div");
			fresh.innerHTML = await answer.text();
			swap(part, fresh);
		} catch { /* the stream says when the appliance is back */ }
	};
	if (drawer) drawer.addEventListener("toggle", fill);
	let filling = 0;
	const fillSoon = () => { if (!filling) filling = setTimeout(() => { filling = 0; fill(); }, 250); };

	// Plots are followed by themselves: they change with every sample, which is no event.
	const polled = document.querySelector("[data-poll]");
	const poll = async () => {
		if (!document.hidden && !inUse(polled)) {
			try {
				const answer = await fetch(polled.dataset.poll, { credentials: "same-origin", redirect: "manual", cache: "no-store" });
				if (answer.ok) {
					const fresh = document.createElement("div");
					fresh.innerHTML = await answer.text();
					const where = pointing;
					unpoint();
					steady(() => swap(polled, fresh));
					if (where) pointAll();
				}
			} catch { /* the stream says when the appliance is back */ }
		}
		setTimeout(poll, 5000);
	};
	if (polled && polled.dataset.poll) setTimeout(poll, 5000);

	// What depends on the time alone is no event: a boot that stands still, for one.
	setInterval(() => { if (!document.hidden && document.querySelector("[data-again]")) later(); }, 10000);

	// What can be withdrawn yet: how long. And what waited until somebody had chosen.
	setInterval(() => {
		if (missed) { missed = false; if (!inUse(body)) later(); }
		for (const el of document.querySelectorAll("time[data-left]")) {
			const n = Math.ceil((new Date(el.dateTime) - Date.now() - skew) / 1000);
			if (n > 0 && n < 600) el.textContent = `the end of ${n} s`;
		}
	}, 500);

	// A screen on the wall runs for months: it begins anew every night.
	if (document.querySelector("[data-wall]")) {
		const night = new Date();
		night.setHours(28, 0, 0, 0);
		setTimeout(() => location.reload(), (night - Date.now()) % 864e5);
	}

	// What was just done is said for a while, and not again when the page is
	// loaded anew.
	const done = document.getElementById("done");
	if (done) {
		const here = new URL(location.href);
		for (const word of ["done", "undo"]) here.searchParams.delete(word);
		history.replaceState(null, "", here);
		setTimeout(() => done.remove(), done.querySelector("form") ? 10000 : 12000);
	}

	// At once, and then at most four times a second; less often where a page takes
	// its time to be made and drawn.
	const later = () => {
		if (timer) return;
		timer = setTimeout(() => { timer = 0; refresh(); }, Math.max(0, Math.max(250, 4 * took) - (Date.now() - fetched)));
	};

	// One cursor for all plots: what was measured then is read back from the lines.
	const NS = "http://www.w3.org/2000/svg", LEFT = 52, WIDE = 418, ABOVE = 20, HIGH = 166;
	const near = (line, x) => {
		let best = null;
		for (const m of line.getAttribute("d").matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)) {
			const d = Math.abs(m[1] - x);
			if (!best || d < best.d) best = { d, y: Number(m[2]) };
		}
		return best && best.d < 30 ? best.y : null;
	};
	const point = (box, part) => {
		const [from, to, low, top, ...unit] = box.dataset.plot.split(" ");
		let rule = box.querySelector(".cursor");
		if (!rule) { rule = document.createElementNS(NS, "path"); rule.setAttribute("class", "cursor"); box.append(rule); }
		const x = LEFT + part * WIDE;
		rule.setAttribute("d", `M${x.toFixed(1)} ${ABOVE}V${ABOVE + HIGH}`);
		const then = new Date(Number(from) + part * (to - from));
		const keys = [...box.parentElement.querySelectorAll("[data-at]")];
		box.querySelectorAll("path.line").forEach((line, i) => {
			const y = near(line, x), key = keys[i];
			if (!key) return;
			if (key.dataset.span === undefined) key.dataset.span = key.textContent;
			key.textContent = y === null ? "–" : `${Number((Number(top) - (y - ABOVE) / HIGH * (top - low)).toPrecision(4))} ${unit.join(" ")} at ${then.toLocaleTimeString()}`;
		});
	};
	let spot = 1, pointing = false; // how far along the plots the cursor is, and whether it is shown
	const pointAll = () => { pointing = true; for (const b of document.querySelectorAll("[data-plot]")) if (b.checkVisibility()) point(b, spot); };
	const unpoint = () => {
		pointing = false;
		for (const c of document.querySelectorAll(".plot .cursor")) c.remove();
		for (const k of document.querySelectorAll("[data-at][data-span]")) { k.textContent = k.dataset.span; delete k.dataset.span; }
	};
	let pointed = 0;
	const seek = e => {
		const box = e.target.closest && e.target.closest("[data-plot]");
		cancelAnimationFrame(pointed);
		pointed = requestAnimationFrame(() => {
			if (!box) { unpoint(); return; }
			const r = box.getBoundingClientRect();
			const part = ((e.clientX - r.left) / r.width * 480 - LEFT) / WIDE;
			if (part < 0 || part > 1) { unpoint(); return; }
			spot = part;
			pointAll();
		});
	};
	for (const kind of ["pointermove", "pointerdown"]) document.addEventListener(kind, seek, { passive: true }); // a finger taps

	// The same cursor by keys: Tab to a plot, then the arrows (with Shift ten times as far), Home and End.
	const reachable = root => { for (const b of root.querySelectorAll("[data-plot]")) b.tabIndex = 0; };
	document.addEventListener("focusin", e => { if (e.target.closest("[data-plot]")) { spot = 1; pointAll(); } });
	document.addEventListener("focusout", e => { if (e.target.closest("[data-plot]")) unpoint(); });
	document.addEventListener("keydown", e => {
		if (!e.target.closest || !e.target.closest("[data-plot]")) return;
		const step = e.shiftKey ? .1 : .01, to = { ArrowLeft: spot - step, ArrowRight: spot + step, Home: 0, End: 1 }[e.key];
		if (to === undefined) return;
		spot = Math.min(1, Math.max(0, to));
		pointAll();
		e.preventDefault();
	});
	reachable(document);

	// Hosts that are ticked, to do something with all of them.
	const ticks = () => [...document.querySelectorAll(".tick input")];
	const countTicks = () => {
		const line = document.getElementById("picked"), all = document.querySelector("[data-all]");
		if (!line) return;
		const boxes = ticks(), n = boxes.filter(b => b.checked).length;
		if (n) { line.dataset.n = n; line.textContent = n === 1 ? "1 host ticked" : `${n} hosts ticked`; } else { delete line.dataset.n; line.textContent = "Tick hosts to do something with several at once."; }
		all.hidden = boxes.length < 2;
		all.textContent = n === boxes.length ? "Untick all" : "Tick all shown";
	};
	document.addEventListener("change", e => { if (e.target.closest(".tick")) countTicks(); });
	document.addEventListener("click", e => {
		if (!e.target.closest("[data-all]")) return;
		const boxes = ticks(), on = boxes.some(b => !b.checked);
		for (const b of boxes) b.checked = on;
		countTicks();
	});

	// Where a person can go: Ctrl K or /. The list is fetched when it is opened.
	const make = (tag, props, ...kids) => { const el = Object.assign(document.createElement(tag), props); el.append(...kids); return el; };
	let jumps = [], dialog = null;
	const shut = () => { if (dialog) { dialog.close(); dialog.remove(); dialog = null; } };
	const openDialog = (label, ...kids) => {
		shut();
		dialog = make("dialog", {}, ...kids);
		dialog.setAttribute("aria-label", label);
		dialog.addEventListener("close", shut);
		dialog.addEventListener("click", e => { if (e.target === dialog) shut(); });
		body.append(dialog);
		dialog.showModal();
	};
	const palette = async () => {
		const input = make("input", { type: "search", placeholder: "host, run or page", autocomplete: "off" }), list = make("ul", { id: "jumps" });
		input.setAttribute("aria-label", "Go to");
		for (const [k, v] of Object.entries({ role: "combobox", "aria-expanded": "true", "aria-controls": "jumps", "aria-autocomplete": "list" })) input.setAttribute(k, v);
		list.setAttribute("role", "listbox");
		list.setAttribute("aria-label", "Where to");
		let at = 0;
		const show = () => {
			const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
			const fit = jumps.filter(j => words.every(w => `${j.word} ${j.find || ""} ${j.kind}`.toLowerCase().includes(w))).slice(0, 40);
			if (words.length === 1 && words[0].length > 3) fit.push({ word: `Part with the serial number ${input.value.trim()}`, kind: "part", path: `/parts?serial=${encodeURIComponent(input.value.trim())}` });
			at = Math.max(0, Math.min(at, fit.length - 1));
			list.replaceChildren(...fit.map((j, i) => {
				const li = make("li", { id: `jump-${i}` }, make("span", { textContent: j.word }), make("span", { className: "mut", textContent: j.kind }));
				li.dataset.path = j.path;
				li.addEventListener("click", () => { location.href = j.path; });
				li.setAttribute("role", "option");
				li.setAttribute("aria-selected", i === at);
				return li;
			}));
			if (!fit.length) list.append(make("li", { className: "mut", textContent: "Nothing fits." }));
			const on = list.children[at];
			if (on && on.id) { input.setAttribute("aria-activedescendant", on.id); on.scrollIntoView({ block: "nearest" }); } else input.removeAttribute("aria-activedescendant");
		};
		input.addEventListener("input", () => { at = 0; show(); });
		input.addEventListener("keydown", e => {
			if (e.key === "ArrowDown" || e.key === "ArrowUp") { at += e.key === "ArrowDown" ? 1 : -1; show(); e.preventDefault(); }
			if (e.key === "Enter") { const to = list.querySelector("[aria-selected=true]"); if (to) location.href = to.dataset.path; e.preventDefault(); }
		});
		openDialog("Go to", input, list);
		show();
		try {
			const answer = await fetch("/palette", { credentials: "same-origin", redirect: "manual", cache: "no-store" });
			if (answer.ok) { jumps = await answer.json(); show(); }
		} catch { list.replaceChildren(make("li", { className: "mut", textContent: "The appliance does not answer." })); }
	};
	const help = () => {
		const keys = make("dl", { className: "keys" });
		for (const [k, what] of [["Ctrl K", "go to a host, a run or a page"], ["/", "search on this page, else the same"], ["g r", "rack; g h hosts, g u runs, g i inbox, g n netboot, g p profiles, g s settings"], ["j k", "next and previous host or row"], ["Enter", "open it"], ["x", "tick it"], ["v", "vet the ticked hosts"], ["b", "light up the machine: the host chosen, or of this page"], ["l", "follow the log, or not"], ["Esc", "close"], ["?", "this"]]) {
			keys.append(make("dt", {}, make("kbd", { textContent: k })), make("dd", { textContent: what }));
		}
		openDialog("Keys", make("h2", { textContent: "Keys" }), keys);
	};

	let chord = 0;
	const stops = () => [...document.querySelectorAll(".tile, table.hosts tbody tr, table.stk tbody tr:has(a)")].filter((el, i, all) => all.indexOf(el) === i);
	const step = by => {
		const all = stops(), now = all.findIndex(el => el.classList.contains("at"));
		if (!all.length) return;
		const to = all[Math.max(0, Math.min(all.length - 1, now < 0 ? 0 : now + by))];
		for (const el of all) el.classList.remove("at");
		to.classList.add("at");
		to.scrollIntoView({ block: "nearest" });
		const a = to.querySelector("a"); if (a) a.focus({ preventScroll: true });
	};
	const goes = { r: "/", h: "/hosts", u: "/runs", i: "/inbox", n: "/netboot", p: "/profiles", s: "/settings" };
	document.addEventListener("keydown", e => {
		if (e.key.toLowerCase() === "k" && (e.ctrlKey || e.metaKey) && !e.altKey) { e.preventDefault(); palette(); return; }
		const a = document.activeElement;
		if (dialog || e.ctrlKey || e.metaKey || e.altKey || !document.querySelector("header.top") || a && /^(INPUT|TEXTAREA|SELECT)$/.test(a.tagName) && a.type !== "checkbox") return;
		if (Date.now() - chord < 1500 && goes[e.key]) { location.href = goes[e.key]; return; }
		chord = e.key === "g" ? Date.now() : 0;
		const here = document.querySelector(".at");
		switch (e.key) {
		case "/": { const box = document.querySelector("main input[type=search]"); e.preventDefault(); if (box) box.focus(); else palette(); break; }
		case "?": help(); break;
		case "j": step(1); break;
		case "k": step(-1); break;
		case "x": { const box = here && here.querySelector(".tick input"); if (box) { box.checked = !box.checked; countTicks(); } break; }
		case "v": { const pick = document.querySelector(".picked"); const box = here && here.querySelector(".tick input"); if (pick) { if (box && !ticks().some(b => b.checked)) box.checked = true; pick.closest("form").requestSubmit(); } break; }
		case "b": blink(here); break;
		case "l": if (follow) { follow.checked = !follow.checked; bottom(); } break;
		}
	});
	const header = document.querySelector("header.top");
	if (header) {
		const go = make("button", { type: "button", className: "btn sml hide-s" }, "Go to ", make("kbd", { textContent: "Ctrl K" }));
		go.addEventListener("click", palette);
		header.insertBefore(go, header.querySelector(".live, form"));
	}

	// What a person who does not see the page must hear of: a state that has changed.
	const ear = make("div", { className: "say" });
	ear.setAttribute("role", "status");
	ear.setAttribute("aria-live", "polite");
	body.append(ear);
	const standing = () => [...document.querySelectorAll("#run-head .v, .edge.hold > .v")].map(v => v.textContent.trim()).join(". ");
	let stood = standing();
	// A sentence at the corner, said aloud by what reads the page.
	const toast = (text, tone, href) => {
		const box = make("div", { className: `toast card edge ${tone}` });
		box.append(href ? make("a", { href, textContent: text }) : make("span", { textContent: text }));
		body.append(box);
		ear.textContent = text;
		setTimeout(() => box.remove(), 12000);
	};

	// A verdict is seen in the tab's name and icon until somebody looks, and heard where that is wanted.
	const icon = document.querySelector("link[rel=icon]"), plain = icon && icon.getAttribute("href");
	const signs = { pass: ["\u2713", "#00694d"], warn: ["!", "#8a5600"], fail: ["\u2715", "#b03c00"], hold: ["\u2016", "#7a2f6b"] };
	const clean = s => String(s || "").replace(/\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)/g, "").replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, "").slice(0, 4000);
	const beep = state => {
		if (localStorage.getItem("sound") !== "on") return;
		try {
			const sound = new AudioContext(), tone = sound.createOscillator(), loud = sound.createGain();
			tone.frequency.value = state === "pass" ? 880 : 330;
			loud.gain.value = .1;
			tone.connect(loud).connect(sound.destination);
			tone.start(); tone.stop(sound.currentTime + .25);
			tone.onended = () => sound.close();
		} catch { /* no sound here */ }
	};
	const verdict = v => {
		const [sign, colour] = signs[v.state] || signs.warn;
		toast(clean(v.text), v.state, v.run ? `/runs/${encodeURIComponent(v.run)}` : "");
		beep(v.state);
		if (document.hasFocus()) return;
		unseen = `(${sign}) `;
		document.title = unseen + title;
		if (icon) icon.href = "data:image/svg+xml," + encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="${colour}"/><text x="8" y="12" font-size="11" font-weight="700" text-anchor="middle" fill="#fff">${sign}</text></svg>`);
	};
	addEventListener("focus", () => {
		if (!unseen) return;
		unseen = ""; document.title = title;
		if (icon) icon.href = plain;
	});
	const loud = document.getElementById("sound");
	if (loud) {
		loud.hidden = false;
		const box = loud.querySelector("input");
		box.checked = localStorage.getItem("sound") === "on";
		box.addEventListener("change", () => { localStorage.setItem("sound", box.checked ? "on" : "off"); beep("pass"); });
	}

	// The light by which a machine is found: of the host that the keys have led to, or that the page is about.
	const blink = async here => {
		const at = here && here.querySelector(".tick input"), own = location.pathname.match(/^\/hosts\/([0-9a-f:]{17})$/);
		const link = document.querySelector("#run-head h1 a[href^='/hosts/']");
		const path = at ? `/hosts/${at.value}` : own ? own[0] : link && link.getAttribute("href");
		if (!path || !document.querySelector("header.top[data-operates]")) return;
		try {
			const answer = await fetch(`${path}/power`, { method: "POST", body: new URLSearchParams({ op: "locate" }), credentials: "same-origin" });
			const page = new DOMParser().parseFromString(await answer.text(), "text/html"), why = page.querySelector(".note.fail b");
			if (answer.ok) toast("The light is on: look for the machine that blinks.", "pass"); else toast(why ? why.textContent : "The light could not be switched on.", "fail");
		} catch { toast("The appliance does not answer.", "fail"); }
	};

	const announce = () => { const now = standing(); if (now !== stood) { stood = now; ear.textContent = now; } };

	const log = document.getElementById("log");
	const follow = document.getElementById("follow");
	const sift = document.getElementById("sift");
	const fits = row => { const words = sift ? sift.value.toLowerCase().split(/\s+/).filter(Boolean) : []; return words.every(w => row.textContent.toLowerCase().includes(w)); };
	if (sift) sift.addEventListener("input", () => { for (const row of log.children) row.hidden = !fits(row); bottom(); });
	const bottom = () => { if (log && (!follow || follow.checked)) log.scrollTop = log.scrollHeight; };

	const addLines = data => {
		if (!log) return;
		const known = Number(log.dataset.after || 0);
		for (const l of data.lines) {
			if (l.seq <= known) continue;
			const row = document.createElement("span");
			row.className = { warn: "warn", warning: "warn", error: "fail" }[String(l.level).toLowerCase()] || "";
			row.textContent = `${new Date(l.time).toISOString().slice(11, 19)} ${clean(l.stage).padEnd(14)} ${clean(l.text)}\n`;
			row.hidden = !fits(row);
			log.append(row);
		}
		log.dataset.after = Math.max(known, data.after);
		while (log.childElementCount > 2000) log.firstElementChild.remove();
		const none = document.getElementById("nolog");
		if (none) none.remove();
		bottom();
	};

	let mine = ""; // name of this page's stream; the next page of this tab takes its place
	const connect = () => {
		if (!body.dataset.view || document.hidden || source) return;
		const url = new URL("/events", location.href);
		if (parted) for (const [k, v] of new URLSearchParams(location.search)) url.searchParams.append(k, v); // what of the page is looked at
		url.searchParams.set("v", body.dataset.view);
		url.searchParams.set("after", last);
		url.searchParams.set("instead", mine || sessionStorage.getItem("stream") || ""); // the appliance does not see at once that a page was left
		url.searchParams.set("stream", mine = Math.random().toString(36).slice(2));
		if (log) url.searchParams.set("log_after", log.dataset.after || "0");
		source = new EventSource(url);
		source.onopen = () => {
			if (ended === "upgrade" && !halfFilled()) { anew(); return; }
			if (tries) refresh();
			tries = 0; ended = ""; say(!stale, stale);
		};
		source.onerror = () => {
			const over = source && source.readyState === EventSource.CLOSED;
			if (!ended) say(false, `The appliance does not answer. Showing what was known at ${new Date(known || performance.timeOrigin).toLocaleTimeString()}; trying again.`);
			if (state && !ended) state.textContent = "reconnecting";
			tries++;
			if (over) { close(); setTimeout(connect, Math.min(30000, 1000 * 2 ** Math.min(tries, 5)) * (0.5 + Math.random())); }
		};
		const heard = e => { if (e.lastEventId) last = e.lastEventId; if (parted && e.type !== "resync") fillSoon(); else later(); };
		for (const kind of ["host", "run", "stage", "finding", "boot", "notice", "resync"]) source.addEventListener(kind, heard);
		source.addEventListener("part", e => { try { place(JSON.parse(e.data)); } catch { later(); } });
		source.addEventListener("log", e => { try { addLines(JSON.parse(e.data)); } catch { /* a frame that is no log */ } });
		source.addEventListener("clock", e => { try { skew = Date.parse(JSON.parse(e.data).now) - Date.now(); } catch { /* a frame that is no clock */ } });
		source.addEventListener("verdict", e => { try { verdict(JSON.parse(e.data)); } catch { /* a frame that is no verdict */ } });
		source.addEventListener("bye", e => {
			if (e.data === "restart" || e.data === "upgrade") { // it comes back by itself: no failure
				ended = e.data;
				if (state) { state.dataset.state = "wait"; state.textContent = "starting anew"; }
				if (banner) { banner.dataset.on = "calm"; banner.textContent = e.data === "upgrade" ? "The appliance starts anew with another version; this page follows by itself." : "The appliance starts anew; this page follows by itself."; }
				setTimeout(() => { if (ended) { ended = ""; say(false, "The appliance does not come back; trying on."); } }, 120000);
			}
			if (e.data === "logout") anew();
			if (e.data === "many") { close(); say(false, "Too many pages of this console are open; this one no longer follows. Reload it to follow again."); }
		});
	};

	const close = () => { if (source) { source.close(); source = null; } };

	// One stream per visible page: browsers allow six connections to one server.
	document.addEventListener("visibilitychange", () => {
		if (document.hidden) close(); else { connect(); if (body.dataset.view) refresh(); }
	});
	addEventListener("pagehide", () => { close(); if (mine) sessionStorage.setItem("stream", mine); });
	addEventListener("pageshow", e => { if (e.persisted) { connect(); if (body.dataset.view) refresh(); } }); // gone back to, as it was left

	document.addEventListener("click", e => {
		for (const d of document.querySelectorAll("details.confirm[open]")) if (!d.contains(e.target)) d.open = false;
	});
	document.addEventListener("keydown", e => {
		if (e.key === "Escape") for (const d of document.querySelectorAll("details.confirm[open]")) d.open = false;
	});
	// What would be refused is said before it is sent: a form with photos is refused unread.
	const room = 64 << 10; // for what a form has around its files
	const bounded = e => {
		const form = e.target.form, most = form && Number(form.dataset.mostBytes);
		if (most && e.target.type === "file") {
			const fields = [...form.querySelectorAll("input[type=file]")], files = fields.flatMap(f => [...f.files]);
			let why = "";
			if (files.length > Number(form.dataset.mostFiles)) why = `A note has ${form.dataset.mostFiles} photos at most; these are ${files.length}.`;
			if (files.reduce((sum, f) => sum + f.size, room) > most) why = `The photos have more than ${most >> 20} MiB all together; choose fewer, and add the others to another note.`;
			for (const f of fields) f.setCustomValidity(f === e.target ? why : "");
		}
		if (e.target.dataset && e.target.dataset.letters) {
			const letters = [...e.target.value.trim()].length, bound = Number(e.target.dataset.letters);
			e.target.setCustomValidity(letters > bound ? `A note has ${bound} letters at most; this one has ${letters}.` : "");
		}
	};
	document.addEventListener("change", bounded);
	document.addEventListener("input", bounded);
	// A form is sent once, however often it is clicked, and also where a merge has let its buttons again.
	const sent = new WeakMap();
	document.addEventListener("submit", e => {
		const form = e.target, focus = document.activeElement;
		if (e.defaultPrevented) return;
		if (form.method === "post" && Date.now() - (sent.get(form) || 0) < 4000) { e.preventDefault(); return; }
		sent.set(form, Date.now());
		const buttons = [...form.querySelectorAll("button:enabled")];
		setTimeout(() => { for (const b of buttons) b.disabled = true; });
		setTimeout(() => { for (const b of buttons) b.disabled = false; if (document.activeElement === body && form.contains(focus)) focus.focus({ preventScroll: true }); }, 4000);
	});

	// A run that waits is dragged to its place: the form of its row sends what a drop means.
	let dragged = null;
	const over = e => { const row = dragged && e.target.closest && e.target.closest("tr[data-run]"); return row && row !== dragged ? row : null; };
	const unmark = () => { for (const row of document.querySelectorAll("tr.over, tr.drag")) row.classList.remove("over", "drag"); };
	document.addEventListener("dragstart", e => {
		dragged = e.target.closest && e.target.closest("tr[data-run]");
		if (!dragged) return;
		e.dataTransfer.setData("text/plain", dragged.dataset.run);
		e.dataTransfer.effectAllowed = "move";
		dragged.classList.add("drag");
	});
	document.addEventListener("dragover", e => {
		const row = over(e);
		if (!row) return;
		e.preventDefault();
		for (const old of document.querySelectorAll("tr.over")) if (old !== row) old.classList.remove("over");
		row.classList.add("over");
	});
	document.addEventListener("dragend", () => { unmark(); dragged = null; });
	document.addEventListener("drop", e => {
		const row = over(e);
		if (!row) return;
		e.preventDefault();
		// Dropped from above it goes behind that run, from below before it.
		const down = dragged.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING;
		const next = down ? row.nextElementSibling : row;
		const form = make("form", { method: "post", action: dragged.dataset.move });
		for (const [name, value] of next ? [["to", "before"], ["before", next.dataset.run]] : [["to", "last"]]) form.append(make("input", { type: "hidden", name, value }));
		body.append(form);
		form.submit();
	});

	if (follow) follow.addEventListener("change", bottom);
	localTimes(document);
	countTicks();
	bottom();
	connect();
})();
