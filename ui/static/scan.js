// The page that reads a code with the camera, where the browser can: over HTTPS with a
// certificate it trusts, and with a reader of codes. Elsewhere the words on the page stay.
(() => {
	"use strict";
	const box = document.getElementById("camera"), button = document.getElementById("look"), said = document.getElementById("scan-state"), input = document.getElementById("q");
	if (!box || !("BarcodeDetector" in window) || !navigator.mediaDevices) return;
	const video = box.querySelector("video");
	let stream = null;
	const stop = () => { if (stream) for (const track of stream.getTracks()) track.stop(); stream = null; video.hidden = true; button.textContent = "Use the camera"; };
	const look = async detector => {
		if (!stream) return;
		let found = [];
		try { found = await detector.detect(video); } catch { /* a picture that is not there yet */ }
		const code = found.find(f => f.rawValue);
		if (code) { stop(); input.value = code.rawValue; input.form.requestSubmit(); return; }
		setTimeout(() => look(detector), 150);
	};
	button.addEventListener("click", async () => {
		if (stream) { stop(); return; }
		try {
			stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
			video.srcObject = stream;
			await video.play();
		} catch { stop(); said.textContent = "The camera was not let in. Type what stands on the label instead."; return; }
		video.hidden = false;
		button.textContent = "Stop";
		said.textContent = "Hold the code of a label, a report or a host's screen into the picture.";
		look(new BarcodeDetector());
	});
	addEventListener("pagehide", stop);
	box.hidden = false;
})();
