// The assistant's panel: asks without leaving the page, and records a question as a WAV file of one channel at 16 kHz.
"use strict";
{  // names of its own: other scripts stand beside it
const RATE_HZ = 16000, LONGEST_S = 60, LONGEST_BYTES = 6e6;

function wav(samples) {
  const data = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const word = (at, text) => [...text].forEach((sign, n) => data.setUint8(at + n, sign.charCodeAt(0)));
  word(0, "RIFF"); data.setUint32(4, 36 + 2 * samples.length, true); word(8, "WAVEfmt ");
  data.setUint32(16, 16, true); data.setUint16(20, 1, true); data.setUint16(22, 1, true);
  data.setUint32(24, RATE_HZ, true); data.setUint32(28, 2 * RATE_HZ, true); data.setUint16(32, 2, true); data.setUint16(34, 16, true);
  word(36, "data"); data.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, n) => data.setInt16(44 + 2 * n, Math.round(32767 * Math.min(1, Math.max(-1, value))), true));
  return new File([data.buffer], "question.wav", { type: "audio/wav" });
}

async function heard(recording) {
  const decoder = new OfflineAudioContext(1, 1, RATE_HZ);  // decodes to its own rate
  return wav((await decoder.decodeAudioData(await recording.arrayBuffer())).getChannelData(0));
}

function tell(place, text, kind) {
  const section = document.createElement("section"), line = document.createElement("p");
  section.className = "answer";
  line.className = kind;
  line.textContent = text;
  section.append(line);
  place.replaceChildren(section);
}

function setUp(form) {
  const place = form.parentElement.querySelector(".answers"), speak = form.querySelector(".speak"), file = form.querySelector("[type=file]");
  let recorder = null, isAsking = false;

  async function ask() {
    if (isAsking) return;
    if (file.files.length && file.files[0].size > LONGEST_BYTES) { tell(place, form.dataset.large, "error"); return; }
    isAsking = true;
    tell(place, form.dataset.waiting, "hint");
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { accept: "text/html" } });
      if (answer.redirected) { location.assign(answer.url); return; }
      const text = await answer.text();
      const found = new DOMParser().parseFromString(text, "text/html").getElementById("answer");
      if (found) place.replaceChildren(document.adoptNode(found));
      else tell(place, text.startsWith("<") ? `${answer.status}` : text, "error");
    } catch (error) {
      tell(place, String(error), "error");
    } finally {
      isAsking = false;
      file.value = "";
    }
  }

  async function record() {
    if (recorder) { recorder.stop(); return; }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    } catch (error) {
      tell(place, `${form.dataset.deaf} ${error.message}`, "error");
      return;
    }
    const pieces = [];
    recorder = new MediaRecorder(stream);
    const end = setTimeout(() => recorder && recorder.stop(), 1000 * (LONGEST_S - 1));
    recorder.ondataavailable = (event) => pieces.push(event.data);
    recorder.onstop = async () => {
      clearTimeout(end);
      stream.getTracks().forEach((track) => track.stop());
      recorder = null;
      speak.textContent = form.dataset.speak;
      speak.classList.remove("on");
      const carrier = new DataTransfer();
      try {
        carrier.items.add(await heard(new Blob(pieces)));
      } catch (error) {
        tell(place, `${form.dataset.deaf} ${error.message}`, "error");
        return;
      }
      file.files = carrier.files;
      form.elements.text.value = "";
      ask();
    };
    recorder.start();
    speak.textContent = form.dataset.stop;
    speak.classList.add("on");
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
  const canHear = Boolean(navigator.mediaDevices && window.MediaRecorder);
  speak.hidden = !canHear;
  form.querySelector(".no-microphone").hidden = canHear;
  speak.addEventListener("click", record);
}

document.querySelectorAll("form.ask").forEach(setUp);
}
