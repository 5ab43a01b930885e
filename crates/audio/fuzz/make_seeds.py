"""Small files with every kind of tag, for the fuzzer to begin with.

    python3 make_seeds.py FOLDER
"""

import pathlib
import struct
import sys
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
FORMATS = ROOT / "tests/fixtures/formats"
PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\x02\0\0\0"


def synchsafe(number):
    return bytes((number >> shift) & 127 for shift in (21, 14, 7, 0))


def id3(version, frames, flags=0):
    body = b"".join(frames)
    return b"ID3" + bytes([version, 0, flags]) + synchsafe(len(body)) + body


def frame(version, name, body, flags=b"\0\0"):
    if version == 2:
        return name + struct.pack(">I", len(body))[1:] + body
    size = synchsafe(len(body)) if version == 4 else struct.pack(">I", len(body))
    return name + size + flags + body


def frames(version):
    def of(name, body):
        return frame(version, name, body)

    return [
        of(b"TIT2", b"\x03Title"), of(b"TPE1", b"\1\xff\xfeA\0r\0t\0"), of(b"TCON", b"\0(17)\0Pop"),
        of(b"TRCK", b"\x003/12"), of(b"TYER", b"\x001999"), of(b"TDAT", b"\x000102"),
        of(b"TDRC", b"\x031999-01-02T03:04"), of(b"TBPM", b"\x00120"), of(b"TKEY", b"\0C#m"),
        of(b"COMM", b"\3engshort\0long"), of(b"USLT", b"\1eng\xff\xfea\0\0\0\xff\xfeb\0"),
        of(b"TXXX", b"\3name\0value"), of(b"WXXX", b"\0d\0http://a"), of(b"WCOM", b"http://b"),
        of(b"UFID", b"http://musicbrainz.org\0abc"), of(b"POPM", b"a@b\0\x80\0\0\0\1"),
        of(b"PRIV", b"owner\0data"), of(b"OWNE", b"\0$1\0" b"20200101seller"),
        of(b"RVA2", b"x\0\1\2\0\x10\0\0"), of(b"ETCO", b"\2\1\0\0\0\1"), of(b"RBUF", b"\0\1\0\0"),
        of(b"TIPL", b"\3mix\0me\0"), of(b"GEOB", b"\0a/b\0f\0d\0xyz"),
        of(b"SYLT", b"\0eng\2\1d\0text\0\0\0\0\1"), of(b"PCNT", b"\0\0\0\1"),
        of(b"APIC", b"\0image/png\0\3d\0" + PICTURE),
        of(b"CHAP", b"c1\0" + bytes(16) + of(b"TIT2", b"\0One")),
        of(b"CTOC", b"toc\0\3\1c1\0" + of(b"TIT2", b"\0All")),
    ]


def ape(items):
    body = b"".join(struct.pack("<II", len(v), f) + k + b"\0" + v for k, v, f in items)
    head = lambda flags: b"APETAGEX" + struct.pack("<IIII", 2000, len(body) + 32, len(items), flags) + bytes(8)
    return head(0xA0000000) + body + head(0x80000000)


def comments(texts):
    body = struct.pack("<I", 4) + b"seed" + struct.pack("<I", len(texts))
    return body + b"".join(struct.pack("<I", len(t)) + t for t in texts)


def box(kind, *inside):
    body = b"".join(inside)
    return struct.pack(">I", len(body) + 8) + kind + body


def item(kind, flag, value):
    return box(kind, box(b"data", struct.pack(">II", flag, 0), value))


def chunk(name, body, order="<"):
    return name + struct.pack(order + "I", len(body)) + body + b"\0" * (len(body) & 1)


def seeds():
    mp3 = (FORMATS / "low.mp3").read_bytes()
    wav = (FORMATS / "u8.wav").read_bytes()
    aiff = (FORMATS / "s16.aiff").read_bytes()[:2000]
    flac = (FORMATS / "cd.flac").read_bytes()[:3000]
    m4a = (FORMATS / "faststart.m4a").read_bytes()
    for version in (2, 3, 4):
        tag = id3(version, frames(version))
        yield f"id3v2{version}.mp3", tag + mp3
        yield f"id3v2{version}u.mp3", id3(version, frames(version), 0x80) + mp3
        yield f"id3v2{version}.wav", b"RIFF" + struct.pack("<I", 4 + 8 + len(tag) + len(wav) - 12) + b"WAVE" + chunk(b"id3 ", tag) + wav[12:]
        yield f"id3v2{version}.aiff", aiff + chunk(b"ID3 ", tag, ">")
        yield f"id3v2{version}.aac", tag + (FORMATS / "adts.aac").read_bytes()[:1000]
        yield f"id3v2{version}.flac", tag + flac
    packed = zlib.compress(b"\3Title")
    yield "packed.mp3", id3(4, [frame(4, b"TIT2", synchsafe(6) + packed, b"\0\x09")]) + mp3
    yield "each.mp3", b"".join(id3(4, [one]) for one in frames(4)[:8]) + mp3
    toc = b""
    for _ in range(3):
        toc = frame(4, b"CTOC", b"t\0\3\0" + toc)
    yield "nested.mp3", id3(4, [toc]) + mp3
    v1 = b"TAG" + b"title".ljust(30) + b"artist".ljust(30) + b"album".ljust(30) + b"1999" + b"c".ljust(28) + b"\0\3\x11"
    tag = ape([(b"Title", b"t", 0), (b"Artist", b"a\0b", 0), (b"Track", b"3/4", 0),
               (b"Cover Art (Front)", b"c.png\0" + PICTURE, 2), (b"Link", b"http://a", 4)])
    yield "ape.mp3", mp3 + tag + v1
    yield "lyrics.mp3", mp3 + b"LYRICSBEGININD0000200EAL00005album000042LYRICS200" + v1
    yield "mac.ape", b"MAC " + struct.pack("<HHIIIIII", 3990, 0, 52, 24, 0, 0, 0, 0) + bytes(40) + tag
    yield "pack.wv", b"wvpk" + struct.pack("<IHBBIIIIII", 24, 0x410, 0, 0, 100, 0, 100, 0x1021, 0, 0)[:28] + tag
    yield "sv8.mpc", b"MPCK" + b"SH\x0f\0\0\0\0\x08\x80\x64\0\x09\x10\0\0" + b"SE\3" + tag
    yield "sv7.mpc", b"MP+\x07" + bytes(60) + tag
    texts = [b"TITLE=t", b"ARTIST=a", b"GENRE=Pop", b"DATE=1999", b"TRACKNUMBER=1/2", b"CHAPTER001=00:00:01.000",
             b"CHAPTER001NAME=c", b"METADATA_BLOCK_PICTURE=AAAAAwAAAAlpbWFnZS9wbmcAAAAA"]
    picture = struct.pack(">II", 3, 9) + b"image/png" + struct.pack(">IIIIII", 0, 1, 1, 24, 0, len(PICTURE)) + PICTURE
    block = lambda kind, body: bytes([kind]) + struct.pack(">I", len(body))[1:] + body
    yield "tagged.flac", flac[:42].replace(b"\x80\0\0\x22", b"\0\0\0\x22", 1) + block(4, comments(texts)) + block(6, picture) + block(5, bytes(400)) + block(0x81, bytes(8)) + flac[-500:]
    info = b"INFO" + chunk(b"INAM", b"name\0") + chunk(b"IART", b"artist\0") + chunk(b"ICRD", b"1999\0")
    yield "info.wav", wav[:12] + chunk(b"LIST", info) + chunk(b"LIST", b"adtl" + chunk(b"labl", b"\1\0\0\0x\0")) + wav[12:500]
    yield "text.aiff", aiff[:12] + chunk(b"NAME", b"n", ">") + chunk(b"AUTH", b"a", ">") + chunk(b"ANNO", b"x", ">") + chunk(b"COMT", b"\0\1\0\0\0\0\0\0\0\1x\0", ">") + aiff[12:]
    lists = box(b"ilst", item(b"\xa9nam", 1, b"t"), item(b"\xa9ART", 1, b"a"), item(b"trkn", 0, b"\0\0\0\1\0\2\0\0"),
                item(b"tmpo", 21, b"\0\x78"), item(b"covr", 14, PICTURE), item(b"gnre", 0, b"\0\x12"),
                box(b"----", box(b"mean", bytes(4), b"com.apple.iTunes"), box(b"name", bytes(4), b"iTunSMPB"),
                    box(b"data", bytes([0, 0, 0, 1, 0, 0, 0, 0]), b" 00000000 00000840 000001CA 00000000003F31F6")))
    meta = box(b"udta", box(b"meta", bytes(4), box(b"hdlr", bytes(8), b"mdirappl", bytes(9)), lists))
    at = m4a.index(b"moov") - 4
    size = struct.unpack(">I", m4a[at:at + 4])[0]
    yield "tagged.m4a", m4a[:at] + struct.pack(">I", size + len(meta)) + m4a[at + 4:at + size] + meta + m4a[at + size:]


folder = pathlib.Path(sys.argv[1])
for name, data in seeds():
    (folder / name).write_bytes(data)
