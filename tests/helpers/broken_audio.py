"""Audio files with something wrong."""

from __future__ import annotations

from schemas.rejects import Reason

# Clips whose bytes are damaged: here a damaged MP3 frame is left out and the encoder's delay
# is taken off; ffmpeg (2019) decoded half a frame at a cut, and kept delay and padding where
# it did not find the LAME tag behind foreign bytes.
DAMAGED = {
    "9/9/9942929.clip.mp3": (527_663, 528_815),
    "3/2/3245271.clip.mp3": (264_960, 265_536),
    "4/8/4861301.clip.mp3": (1_323_000, 1_325_952),
}
SILENT = {"9/0/9098789.clip.mp3", "3/1/3116629.clip.mp3"}
# Its mix is silent; of it one channel is heard, where 2019 stored nothing but zeros.
ANTIPHASE = {"6/7/6773907.clip.mp3"}
BROKEN = {
    "6/5/6510866.clip.mp3": Reason.EMPTY_FILE,
    "1/5/156910.clip.mp3": Reason.EMPTY_FILE,
    "8/1/8109442.clip.mp3": Reason.UNDECODABLE,  # 100 bytes of an MP3
    "5/1/5158697.clip.mp3": Reason.UNDECODABLE,  # text
    "6/3/6345685.clip.mp3": Reason.UNDECODABLE,  # HTML
}
