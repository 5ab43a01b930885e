//! Files that nothing here reads, through an installed ffmpeg.
//!
//! The program runs once for each question: which codec it is, which packets there
//! are, which samples, which tags. It is started without a shell, may read this one
//! file and nothing else (no network, no playlists that name other files), and is
//! ended as soon as nobody asks for more.

mod foreign;
mod running;

use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::{Arc, atomic::AtomicBool},
};

use sha2::{Digest as _, Sha256};
use songrec_core::Digest;

pub(crate) use self::foreign::Foreign;
use self::running::{Next, Running, Said, Trouble, words};
use crate::{
    demux::{Identified, Identity},
    error::{Error, Reason, Result},
    source::FileHash,
};

/// Set by another thread to end the program early.
pub(crate) type Cancel = Option<Arc<AtomicBool>>;

/// An ffmpeg that is installed on this machine.
#[derive(Clone, Debug)]
pub struct Ffmpeg {
    program: PathBuf,
    version: String,
}

/// The demuxers of ffmpeg that may look at a file: those of audio and of films. Left
/// out are those that follow what a file says to other files or machines (`hls`,
/// `concat`, `dash`, `sdp`, `imf` …), and those of devices and of pictures.
const DEMUXERS: &str = "3dostr,aa,aac,aax,ac3,act,adp,ads,adx,aea,afc,aiff,aix,alp,amr,amrnb,\
    amrwb,ape,apm,aptx,aptx_hd,asf,asf_o,ast,au,avi,avr,bfstm,boa,brstm,caf,codec2,dsf,dts,\
    dtshd,ea,eac3,epaf,flac,flv,fsb,fwse,g722,g729,genh,gsm,gxf,hca,hcom,iff,ilbc,ircam,iss,\
    kvag,live_flv,loas,matroska,webm,mca,mcc,mlp,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,\
    mpegts,msf,mtaf,mtv,musx,mxf,nistsphere,nsp,nsv,nut,oga,ogg,oma,paf,pmp,pvf,qcp,r3d,rka,rm,\
    rso,sbc,sds,sdx,shn,siff,smjpeg,sol,sox,spdif,svag,svs,swf,tak,thp,truehd,tta,ty,vag,voc,\
    vpk,vqf,w64,wady,wav,wsaud,wsd,wtv,wv,wve,xa,xmv,xwma";

/// Rows of frames, which can be found in any bytes. What is built in knows them, so
/// that only chance can make ffmpeg find one more.
const BY_CHANCE: [&str; 3] = ["mp3", "aac", "mpeg"];

/// What a file is for ffmpeg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probed {
    /// The container, such as `asf`.
    pub(crate) container: String,
    /// The codec, such as `wmav2`.
    pub(crate) codec: String,
}

impl Ffmpeg {
    /// The most bytes that answers have which are not audio.
    const MOST_TEXT: usize = 1 << 20;

    /// The ffmpeg that `program` names: a path, or a name that the system looks for.
    ///
    /// # Errors
    ///
    /// When it does not run, or is not an ffmpeg.
    pub fn find(program: &Path) -> std::io::Result<Self> {
        let other = |text: String| std::io::Error::other(text);
        let running = Running::start(program, ["-hide_banner", "-version"], None)?;
        let (answer, status, said) = running.all(Self::MOST_TEXT).map_err(|why| match why {
            Trouble::Failed(error) => error,
            Trouble::Cancelled => other("cancelled".to_owned()),
        })?;
        let answer = String::from_utf8_lossy(&answer);
        let first = answer.lines().next().and_then(crate::text::clean);
        match first.and_then(|line| Some(line.strip_prefix("ffmpeg version ")?.to_owned())) {
            Some(rest) => {
                let version = rest.split(' ').next().unwrap_or_default().to_owned();
                Ok(Self { program: program.to_owned(), version })
            }
            None => Err(other(format!("it is no ffmpeg: {}", said.reason(status)))),
        }
    }

    /// Its version as it says it, such as `5.1.9-0+deb12u1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Starts it on one audio track of a file, with `output` of it to be read.
    fn start(
        &self,
        path: &Path,
        track: usize,
        output: &[&str],
        cancel: &Cancel,
    ) -> Result<Running> {
        let run = || {
            let mut input = OsString::from("file:");
            input.push(std::path::absolute(path)?);
            let mut arguments = words(&[
                "-nostdin",
                "-hide_banner",
                "-nostats",
                // Lines as they are, with the container among them.
                "-loglevel",
                "info",
                // The largest piece of memory that it may take, in bytes.
                "-max_alloc",
                "268435456",
                // The threads of a scan have a file each.
                "-threads",
                "1",
                "-protocol_whitelist",
                "file",
                "-format_whitelist",
                DEMUXERS,
                "-i",
            ]);
            arguments.push(input);
            let track = format!("0:a:{track}");
            arguments.extend(words(&["-map", &track, "-vn", "-sn", "-dn"]));
            arguments.extend(words(output));
            arguments.push("pipe:1".into());
            Running::start(&self.program, arguments, cancel.clone())
        };
        run().map_err(|error| Error::new(path, Reason::Ffmpeg).because(error))
    }

    /// Container and codec of an audio track.
    fn probe(&self, path: &Path, track: usize, cancel: &Cancel) -> Result<Probed> {
        let output = ["-c", "copy", "-frames:a", "1", "-f", "framehash"];
        let running = self.start(path, track, &output, cancel)?;
        let (answer, status, said) = running.all(Self::MOST_TEXT).map_err(of(path))?;
        let answer = String::from_utf8_lossy(&answer);
        let codec = answer.lines().find_map(|line| line.strip_prefix("#codec_id 0: "));
        let named = |text: &str| {
            text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) && text.len() < 40
        };
        let container = said.lines().find_map(|line| {
            let names = line.strip_prefix("Input #0, ")?.split(", from ").next()?;
            names.split(',').next().filter(|name| named(name))
        });
        match (codec.filter(|codec| named(codec)), container) {
            (_, Some(container)) if BY_CHANCE.contains(&container) => {
                Err(Error::new(path, Reason::NotAudio).because("no frames of it fit together"))
            }
            (Some(codec), container) => Ok(Probed {
                container: container.unwrap_or("unknown").to_owned(),
                codec: codec.to_owned(),
            }),
            (None, _) => Err(Error::new(path, Reason::NotAudio).because(why(&said, status))),
        }
    }

    /// What a file is that nothing here demuxes: SHA-256 over the packets of its first
    /// audio track, as [`identify`](crate::identify) has them.
    pub(crate) fn identify(&self, path: &Path, cancel: &Cancel) -> Result<Identified> {
        let io = |error| Error::io(path, error);
        let mut file = File::open(path).map_err(io)?;
        let limit = file.metadata().map_err(io)?.len();
        let probed = self.probe(path, 0, cancel)?;
        let mut audio = Sha256::new();
        if probed.codec.starts_with("pcm") || probed.codec.starts_with("adpcm") {
            let shape = Foreign::begin(self, path, 0, cancel)?.0;
            let (rate, channels) = (shape.sample_rate, shape.channels);
            audio.update(format!("{} {rate} {channels}\n", probed.codec));
        }
        let mut packets = self.start(path, 0, &["-c", "copy", "-f", "data"], cancel)?;
        let mut audio_bytes = 0u64;
        let ended = loop {
            match packets.next().map_err(of(path))? {
                Next::Bytes(bytes) => {
                    audio.update(&bytes);
                    audio_bytes += bytes.len() as u64;
                }
                Next::End(status) => break status,
            }
            // As for what is demuxed here: an index may name the same bytes again and again.
            const SPARE: u64 = 1 << 20;
            if audio_bytes > limit.saturating_mul(2) + SPARE {
                return Err(Error::new(path, Reason::Corrupt)
                    .because("the file says the same again and again"));
            }
        };
        if audio_bytes == 0 {
            return Err(
                Error::new(path, Reason::Corrupt).because(why(&packets.said(), Some(ended)))
            );
        }
        let (sha256, size) = FileHash::new().finish(&mut file).map_err(io)?;
        let audio_hash = Digest(audio.finalize().into());
        Ok(Identified { identity: Identity { sha256, size, audio_hash }, audio_bytes })
    }

    /// What is written on a file, as names and values; empty where it cannot be had.
    pub(crate) fn tags(&self, path: &Path) -> Vec<(String, String)> {
        let output = ["-c", "copy", "-frames:a", "0", "-f", "ffmetadata"];
        let running = self.start(path, 0, &output, &None);
        let Ok((answer, ..)) = running.and_then(|run| run.all(Self::MOST_TEXT).map_err(of(path)))
        else {
            return Vec::new();
        };
        pairs(&String::from_utf8_lossy(&answer))
    }
}

/// The names and values of the first section of ffmpeg's text form.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let (mut name, mut value, mut in_value) = (String::new(), String::new(), false);
    let mut chars = text.chars();
    loop {
        let next = chars.next();
        let at_start = !in_value && name.is_empty();
        match next {
            Some('\\') => match (chars.next(), in_value) {
                (Some(c), true) => value.push(c),
                (Some(c), false) => name.push(c),
                (None, _) => {}
            },
            Some('=') if !in_value => in_value = true,
            Some('\n') | None => {
                let pair = (std::mem::take(&mut name), std::mem::take(&mut value));
                if in_value {
                    pairs.push((pair.0.to_ascii_lowercase(), pair.1));
                }
                in_value = false;
                if next.is_none() {
                    return pairs;
                }
            }
            Some('[') if at_start => return pairs,
            Some(c) if in_value => value.push(c),
            Some(c) => name.push(c),
        }
    }
}

/// What it says of a file that it cannot read, without what it says of itself.
fn why(said: &Said, status: Option<ExitStatus>) -> String {
    let of_trouble = said.lines().filter(|line| !line.starts_with(' ')).filter(|line| {
        !["Input #", "Output #", "Stream mapping", "Press [", "size=", "Guessed "]
            .iter()
            .any(|known| line.starts_with(known))
    });
    let lines: Vec<String> = of_trouble
        .map(without_address)
        .filter_map(|line| crate::text::clean(&line))
        .take(2)
        .collect();
    if lines.is_empty() { said.reason(status) } else { lines.join("; ") }
}

/// A line like `[asf @ 0x55d0c8a2] text` without the address, which differs each time.
fn without_address(line: &str) -> String {
    match line.split_once(" @ 0x") {
        Some((before, after)) => {
            let after = after.trim_start_matches(|c: char| c.is_ascii_hexdigit());
            format!("{before}{after}")
        }
        None => line.to_owned(),
    }
}

/// The error for a program that came to no end.
fn of(path: &Path) -> impl Fn(Trouble) -> Error {
    move |trouble| match trouble {
        Trouble::Cancelled => Error::new(path, Reason::Cancelled),
        Trouble::Failed(error) => Error::new(path, Reason::Ffmpeg).because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_read_up_to_the_first_section() {
        let text = ";FFMETADATA1\ntitle=a\\=b\\\nc\nARTIST=x=y\n[CHAPTER]\ntitle=no\n";

        let pairs = pairs(text);

        let expected = [("title", "a=b\nc"), ("artist", "x=y")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
