// The console works whole without this file. With it, pages follow what happens:
// the server says that something did (server-sent events), the page fetches
// itself again and swaps the parts marked data-live. No library, no eval.
(() => {
	"use strict";

	const body = document.body;
	const state = document.querySelector(".live");
	const banner = document.querySelector(".banner");
	let source = null, last = body.dataset.seq || "0", tries = 0, timer = 0;
	let busy = false, again = false, fetched = 0;

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
			const day = t.toDateString() === new Date().toDateString() ? {} : { day: "numeric", month: "short", year: "numeric" };
			el.title = el.dateTime;
			el.textContent = new Intl.DateTimeFormat(undefined, { ...day, hour: "2-digit", minute: "2-digit", second: el.dataset.s ? "2-digit" : undefined, timeZoneName: "short" }).format(t);
			el.dataset.done = "1";
		}
	};

	// A part that somebody is typing in, or has opened a menu in, is left alone.
	const inUse = el => {
		const a = document.activeElement;
		return a && el.contains(a) && /^(INPUT|TEXTAREA|SELECT)$/.test(a.tagName) || el.querySelector("details.confirm[open]");
	};

	const swap = (el, fresh) => {
		if (el.dataset.was === fresh.innerHTML) return;
		const was = fresh.innerHTML;
		const open = [...el.querySelectorAll("details[id][open]")].map(d => d.id);
		const focus = document.activeElement && el.contains(document.activeElement) ? document.activeElement.id : "";
		el.replaceChildren(...fresh.childNodes);
		el.className = fresh.className;
		el.dataset.was = was;
		for (const id of open) { const d = document.getElementById(id); if (d) d.open = true; }
		if (focus) { const f = document.getElementById(focus); if (f) f.focus(); }
		localTimes(el);
	};

	const refresh = async () => {
		if (busy) { again = true; return; }
		busy = true; again = false;
		try {
			const answer = await fetch(location.href, { headers: { "X-Live": "1" }, credentials: "same-origin", redirect: "manual", cache: "no-store" });
			if (answer.type === "opaqueredirect" || answer.status === 401) { location.reload(); return; }
			if (answer.ok) {
				const page = new DOMParser().parseFromString(await answer.text(), "text/html");
				for (const fresh of page.querySelectorAll("[data-live]")) {
					const el = document.getElementById(fresh.id);
					if (el && !inUse(el)) swap(el, fresh);
				}
				if (page.title) document.title = page.title;
			}
		} catch { /* the stream says when the appliance is back */ }
		fetched = Date.now(); busy = false;
		if (again) later();
	};

	// Plots are followed by themselves: they change with every sample, which is no event.
	const polled = document.querySelector("[data-poll]");
	const poll = async () => {
		if (!document.hidden && !inUse(polled)) {
			try {
				const answer = await fetch(polled.dataset.poll, { credentials: "same-origin", redirect: "manual", cache: "no-store" });
				if (answer.ok) {
					const fresh = document.createElement("div");
					fresh.innerHTML = await answer.text();
					swap(polled, fresh);
				}
			} catch { /* the stream says when the appliance is back */ }
		}
		setTimeout(poll, 5000);
	};
	if (polled && polled.dataset.poll) setTimeout(poll, 5000);

	// What depends on the time alone is no event: a boot that stands still, for one.
	setInterval(() => { if (!document.hidden && document.querySelector("[data-again]")) later(); }, 10000);

	// What was just done is said for a while, and not again when the page is
	// loaded anew.
	const done = document.getElementById("done");
	if (done) {
		const here = new URL(location.href);
		here.searchParams.delete("done");
		history.replaceState(null, "", here);
		setTimeout(() => done.remove(), 12000);
	}

	// At once, and then at most four times a second.
	const later = () => {
		if (timer) return;
		timer = setTimeout(() => { timer = 0; refresh(); }, Math.max(0, 250 - (Date.now() - fetched)));
	};

	const log = document.getElementById("log");
	const follow = document.getElementById("follow");
	const bottom = () => { if (log && (!follow || follow.checked)) log.scrollTop = log.scrollHeight; };

	const addLines = data => {
		if (!log) return;
		const known = Number(log.dataset.after || 0);
		for (const l of data.lines) {
			if (l.seq <= known) continue;
			const row = document.createElement("span");
			row.className = { warn: "warn", warning: "warn", error: "fail" }[String(l.level).toLowerCase()] || "";
			const clean = s => String(s || "").replace(/\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)/g, "").replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, "").slice(0, 4000);
			row.textContent = `${new Date(l.time).toISOString().slice(11, 19)} ${clean(l.stage).padEnd(14)} ${clean(l.text)}\n`;
			log.append(row);
		}
		log.dataset.after = Math.max(known, data.after);
		while (log.childElementCount > 2000) log.firstElementChild.remove();
		const none = document.getElementById("nolog");
		if (none) none.remove();
		bottom();
	};

	const connect = () => {
		if (!body.dataset.view || document.hidden || source) return;
		const url = new URL("/events", location.href);
		url.searchParams.set("v", body.dataset.view);
		url.searchParams.set("after", last);
		if (log) url.searchParams.set("log_after", log.dataset.after || "0");
		source = new EventSource(url);
		source.onopen = () => { if (tries) refresh(); tries = 0; say(true); };
		source.onerror = () => {
			const over = source && source.readyState === EventSource.CLOSED;
			say(false, `The appliance does not answer. Showing what was known at ${new Date(fetched || performance.timeOrigin).toLocaleTimeString()}; trying again.`);
			if (state) state.textContent = "reconnecting";
			tries++;
			if (over) { close(); setTimeout(connect, Math.min(30000, 1000 * 2 ** Math.min(tries, 5)) * (0.5 + Math.random())); }
		};
		const heard = e => { if (e.lastEventId) last = e.lastEventId; later(); };
		for (const kind of ["host", "run", "stage", "finding", "boot", "notice", "resync"]) source.addEventListener(kind, heard);
		source.addEventListener("log", e => { try { addLines(JSON.parse(e.data)); } catch { /* a frame that is no log */ } });
		source.addEventListener("bye", e => {
			if (e.data === "logout") location.reload();
			if (e.data === "many") { close(); say(false, "Too many pages of this console are open; this one no longer follows. Reload it to follow again."); }
		});
	};

	const close = () => { if (source) { source.close(); source = null; } };

	// One stream per visible page: browsers allow six connections to one server.
	document.addEventListener("visibilitychange", () => {
		if (document.hidden) close(); else { connect(); if (body.dataset.view) refresh(); }
	});
	addEventListener("pagehide", close);

	document.addEventListener("click", e => {
		for (const d of document.querySelectorAll("details.confirm[open]")) if (!d.contains(e.target)) d.open = false;
	});
	document.addEventListener("keydown", e => {
		if (e.key === "Escape") for (const d of document.querySelectorAll("details.confirm[open]")) d.open = false;
	});
	document.addEventListener("submit", e => {
		for (const b of e.target.querySelectorAll("button")) setTimeout(() => { b.disabled = true; setTimeout(() => { b.disabled = false; }, 4000); });
	});

	if (follow) follow.addEventListener("change", bottom);
	localTimes(document);
	bottom();
	connect();
})();
