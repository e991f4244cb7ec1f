"""Sounds as the bytes of any format that FFmpeg writes."""

import pathlib
import tempfile

import av


def encode_stream(samples, rate, container, codec, *, layout=None, options=None, bit_rate=None):
    """float32 [samples, channels] in a container, in the codec's own sample format, as bytes."""
    layout = layout or {1: "mono", 2: "stereo"}[samples.shape[1]]
    with tempfile.TemporaryDirectory() as folder:  # some containers are read again at their end
        path = pathlib.Path(folder) / "stream"
        with av.open(str(path), "w", format=container, options=options or {}) as output:
            stream = output.add_stream(codec, rate=rate, layout=layout)
            if bit_rate:
                stream.bit_rate = bit_rate
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
            frame.sample_rate = rate
            size = stream.frame_size or 4096
            resampler = av.AudioResampler(stream.format.name, layout, rate, size)
            for converted in [*resampler.resample(frame), *resampler.resample(None), None]:
                for packet in stream.encode(converted):
                    output.mux(packet)
        return path.read_bytes()
