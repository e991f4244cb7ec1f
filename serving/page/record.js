// Recording as WAV: browsers encode to formats that the server's decoder does not know.

const HEADER = 44;
const FLOOR = -60; // dB re full scale where the level meter begins

// 16-bit samples of full scale, from numbers between -1 and 1.
function toPcm16(block) {
  return Int16Array.from(block, (x) => Math.round(Math.max(-1, Math.min(1, x)) * 32767));
}

// A WAV file of mono blocks (Int16Array) at a rate in Hz.
export function encodeWav(blocks, rate) {
  const bytes = 2 * blocks.reduce((sum, block) => sum + block.length, 0);
  const view = new DataView(new ArrayBuffer(HEADER));
  const text = (at, letters) =>
    [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, HEADER - 8 + bytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // bytes of this chunk
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true); // bits
  text(36, "data");
  view.setUint32(40, bytes, true);
  return new File([view, ...blocks], "Recording.wav", { type: "audio/wav" });
}

// Level of a block as a share of the meter, 0 to 1.
function level(block) {
  const power = block.reduce((sum, x) => sum + x * x, 0) / block.length;
  return Math.max(0, 1 - (10 * Math.log10(power + 1e-12)) / FLOOR);
}

// Starts the microphone. onBlock(seconds so far, level) is called some twenty times a second;
// stop() ends it and gives the WAV file, or null if nothing was heard.
export async function startRecording(onBlock) {
  const stream = await navigator.mediaDevices.getUserMedia({
    // Music is no speech: what calls do to voices would spoil it.
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  const context = new AudioContext();
  const blocks = [];
  let samples = 0;
  const stop = () => {
    stream.getTracks().forEach((track) => track.stop());
    context.close();
    return samples ? encodeWav(blocks, context.sampleRate) : null;
  };
  try {
    await context.audioWorklet.addModule("/microphone.js");
    const node = new AudioWorkletNode(context, "microphone");
    node.port.onmessage = ({ data }) => {
      blocks.push(toPcm16(data));
      samples += data.length;
      onBlock(samples / context.sampleRate, level(data), HEADER + 2 * samples);
    };
    context.createMediaStreamSource(stream).connect(node).connect(context.destination);
    await context.resume();
  } catch (error) {
    stop();
    throw error;
  }
  return stop;
}

// Why a recording could not start, in a sentence.
export function whyNot(error) {
  if (error.name === "NotAllowedError") {
    return "The browser does not let this page use the microphone; its address bar can change that.";
  }
  if (error.name === "NotFoundError") return "No microphone was found.";
  return `The microphone cannot be used: ${error.message}`;
}
