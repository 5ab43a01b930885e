"""Gets the sound that others recorded, and cuts it to clips: the stages `fetch` and `clips`."""

import glob
import os
import shutil
import subprocess
import tomllib

import numpy as np

from . import classes, eas, fm, recorded, soundfont, store, toolkit
from .store import log

HERE = os.path.dirname(os.path.abspath(__file__))


def listed(use=None):
    """The sources of `sources.toml`, all or of one use."""
    with open(os.path.join(HERE, "sources.toml"), "rb") as file:
        sources = tomllib.load(file)["source"]
    return [source for source in sources if use in (None, source["use"])]


def taken(source, labels):
    """Which sounds of these classes are used: all but those of `without`, where `drums` are all classes of drums."""
    left_out = set(source.get("without", []))
    if "drums" in left_out:
        left_out.update(classes.DRUMS)
    return ~np.isin(labels, sorted(left_out))


def music(use):
    """The sources of music of `sources.toml` of one use."""
    with open(os.path.join(HERE, "sources.toml"), "rb") as file:
        return [source for source in tomllib.load(file)["music"] if source["use"] == use]


def folders_of(source, work):
    """Where a source of music lies: a folder for each Debian package, or one."""
    names = [package.split("=")[0] for package in source.get("packages", [source["name"]])]
    return [os.path.join(work, "pkg", name) for name in names]


def folder_of(source, work):
    """Where a source lies unpacked; parts of one repository have one folder."""
    return os.path.join(work, "pkg", source.get("debian", source.get("folder", source["name"])))


def fetch(work):
    """Unpacks every source below `work`/pkg: through apt, npm or git."""
    for source in listed():
        folder = folder_of(source, work)
        if os.path.isdir(folder):
            continue
        log("fetching", source["name"])
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        shutil.rmtree(folder + ".part", ignore_errors=True)
        if "debian" in source:
            fetch_debian(source, work, folder + ".part")
        elif "npm" in source:
            fetch_npm(source, work, folder + ".part")
        else:
            subprocess.run(["git", "clone", "--quiet", source["git"], folder + ".part"], check=True)
            subprocess.run(["git", "checkout", "--quiet", source["commit"]], cwd=folder + ".part", check=True)
        os.rename(folder + ".part", folder)
    for source in music("train") + music("validate"):
        fetch_music(source, work)


def fetch_music(source, work):
    for package, folder in zip(source.get("packages", [""]), folders_of(source, work)):
        if os.path.isdir(folder):
            continue
        log("fetching", os.path.basename(folder))
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        shutil.rmtree(folder + ".part", ignore_errors=True)
        if package:
            name, version = package.split("=")
            fetch_debian({"debian": name, "version": version}, work, folder + ".part")
        else:
            subprocess.run(["git", "clone", "--quiet", source["git"], folder + ".part"], check=True)
            subprocess.run(["git", "checkout", "--quiet", source["commit"]], cwd=folder + ".part", check=True)
        os.rename(folder + ".part", folder)


def fetch_debian(source, work, folder):
    debs = os.path.join(work, "debs")
    os.makedirs(debs, exist_ok=True)
    subprocess.run(["apt-get", "download", f"{source['debian']}={source['version']}"], cwd=debs, check=True)
    (package,) = glob.glob(os.path.join(debs, source["debian"] + "_*.deb"))
    subprocess.run(["dpkg", "-x", package, folder], check=True)


def fetch_npm(source, work, folder):
    """Each package into a folder of its name, without its scope and version. What lies in `work`/npm is not got again."""
    packed = os.path.join(work, "npm")
    os.makedirs(packed, exist_ok=True)
    for package in source["npm"]:
        name, version = package.rsplit("@", 1)
        archive = os.path.join(packed, f"{name.lstrip('@').replace('/', '-')}-{version}.tgz")
        if not os.path.exists(archive):
            subprocess.run(["npm", "pack", "--silent", package], cwd=packed, check=True, stdout=subprocess.DEVNULL)
        inside = os.path.join(folder, name.split("/")[-1])
        os.makedirs(inside)
        subprocess.run(["tar", "-xzf", archive, "--strip-components=1", "-C", inside], check=True)


def make(source, work):
    path = os.path.join(folder_of(source, work), source["path"])
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} is not there: run the stage `fetch`, or correct sources.toml")
    train = source["use"] != "validate"
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
        case "notes":
            return recorded.note_clips(path, source["name"])
        case "microphones":
            return recorded.microphone_clips(path, source["name"])
        case "kits":
            return recorded.folder_clips(path, source["name"])
        case "fm":
            return fm.clips(folder_of(source, work), source)
        case "eas":
            return eas.clips(path, source["name"])
        case "toolkit":
            return toolkit.clips(path, source["name"], work)
    raise ValueError(f"sources.toml: `{source['read']}` of {source['name']} is no way to read a source")


def clips(work):
    """Writes clips/NAME.npz for every source."""
    for source in listed():
        path = os.path.join(work, "clips", source["name"] + ".npz")
        settings = {key: source[key] for key in source if key != "part"}
        if not store.is_made(path, settings):
            store.write(path, settings, make(source, work).arrays("clip"))
