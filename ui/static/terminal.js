// The terminal of a held host, and the serial console of any: xterm.js over one web socket.
// Bytes of the host are binary messages, and so is what is typed; what both ends say about
// the terminal is JSON in text messages. What the host prints can mark text and move the
// cursor, and nothing else: links lead nowhere, and no add-on for the clipboard is loaded.
"use strict";
(() => {
  const box = document.getElementById("terminal");
  if (!box) return;

  // xterm.js makes style elements; the policy lets those in that carry this page's number.
  const make = document.createElement.bind(document);
  document.createElement = (name, options) => {
    const made = make(name, options);
    if (String(name).toLowerCase() === "style") made.nonce = box.dataset.nonce;
    return made;
  };

  const state = document.getElementById("terminal-state");
  const say = (words, tone) => { state.textContent = words; state.className = "tone " + tone; };

  const term = new Terminal({
    fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace", fontSize: 14, scrollback: 5000, minimumContrastRatio: 4.5,
    linkHandler: { activate: () => {} }, // xterm.js by itself offers to open what the host names (OSC 8)
    theme: { background: "#10151a", foreground: "#e6e9ec", cursor: "#63b8f5", selectionBackground: "#2f4a60" },
  });
  const fit = new FitAddon.FitAddon();
  term.loadAddon(fit);
  term.open(box);

  // For a moment a box can be nearly nothing wide, and what stands in the cursor's line
  // beyond the new edge is lost: a size that nobody could read is none.
  const adapt = () => {
    const now = fit.proposeDimensions();
    if (now && now.cols >= 20 && now.rows >= 4) fit.fit();
  };
  adapt();

  const scheme = location.protocol === "https:" ? "wss://" : "ws://";
  const line = new WebSocket(scheme + location.host + box.dataset.socket + "&cols=" + term.cols + "&rows=" + term.rows);
  line.binaryType = "arraybuffer";

  const text = new TextEncoder();
  const open = () => line.readyState === WebSocket.OPEN;
  let types = false, ended = false;

  const size = () => { if (open()) line.send(JSON.stringify({ cols: term.cols, rows: term.rows })); };

  line.onmessage = e => {
    if (typeof e.data !== "string") { term.write(new Uint8Array(e.data)); return; }
    const said = JSON.parse(e.data);
    if (said.role) {
      types = said.role === "driver";
      term.options.disableStdin = !types;
      say(types ? "connected: what you type goes to the host" : "connected, to look only: " + (said.who || "somebody else") + " types", "pass");
      if (types) { size(); term.focus(); }
    }
    if (said.end) {
      ended = true;
      say("closed: " + said.end, "warn");
      const take = document.getElementById("terminal-take");
      if (take && said.code === take.dataset.code) take.hidden = false;
    }
  };
  line.onclose = () => {
    term.options.disableStdin = true;
    if (!ended) say("closed: the connection broke or was refused", "fail");
    document.getElementById("terminal-again").hidden = false;
  };

  const pieces = bytes => { for (let at = 0; at < bytes.length; at += 8192) line.send(bytes.slice(at, at + 8192)); };
  term.onData(typed => { if (open() && types) pieces(text.encode(typed)); });
  term.onBinary(typed => { if (open() && types) pieces(Uint8Array.from(typed, c => c.charCodeAt(0))); });
  term.onResize(size);
  new ResizeObserver(adapt).observe(box);
})();
