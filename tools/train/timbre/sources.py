"""Gets the sound that others recorded, and cuts it to clips: the stages `fetch` and `clips`."""

import glob
import os
import subprocess
import tomllib

from . import recorded, soundfont, store
from .store import log

HERE = os.path.dirname(os.path.abspath(__file__))


def listed(use=None):
    """The sources of `sources.toml`, all or of one use."""
    with open(os.path.join(HERE, "sources.toml"), "rb") as file:
        sources = tomllib.load(file)["source"]
    return [source for source in sources if use in (None, source["use"])]


def folder_of(source, work):
    return os.path.join(work, "pkg", source["debian"])


def fetch(work):
    """Unpacks every source below `work`/pkg. They are Debian packages, which come through apt."""
    for source in listed():
        folder = folder_of(source, work)
        if os.path.isdir(folder):
            continue
        log("fetching", source["name"])
        debs = os.path.join(work, "debs")
        os.makedirs(debs, exist_ok=True)
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        subprocess.run(["apt-get", "download", f"{source['debian']}={source['version']}"], cwd=debs, check=True)
        (package,) = glob.glob(os.path.join(debs, source["debian"] + "_*.deb"))
        subprocess.run(["dpkg", "-x", package, folder + ".part"], check=True)
        os.rename(folder + ".part", folder)


def make(source, work):
    path = os.path.join(folder_of(source, work), source["path"])
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} is not there: run the stage `fetch`, or correct sources.toml")
    train = source["use"] == "train"
    match source["read"]:
        case "soundfont":
            return soundfont.clips(
                path, source["name"], (45, 85, 120) if train else (60, 110), 24 if train else 8, work
            )
        case "avldrums":
            return soundfont.kit_clips(path, source["name"], folder=work)
        case "patches":
            return recorded.patch_clips(path, source["name"])
        case "files":
            return recorded.clips(path, source["name"])
    raise ValueError(f"sources.toml: `{source['read']}` of {source['name']} is no way to read a source")


def clips(work):
    """Writes clips/NAME.npz for every source."""
    for source in listed():
        path = os.path.join(work, "clips", source["name"] + ".npz")
        settings = {key: source[key] for key in source if key != "part"}
        if not store.is_made(path, settings):
            store.write(path, settings, make(source, work).arrays("clip"))
