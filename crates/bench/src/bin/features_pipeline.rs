//! Where the time goes from a file to its vectors and features.
//!
//! `features_pipeline [--json] [--repeat N] FILE…` prints, for each file, the
//! least CPU time of `N` rounds (5 by default) in milliseconds: decoding alone,
//! the stages of the features apart, `songrec_audio::analyze` with the features and
//! `dsp45@1`, `songrec_models::analyze` with `timbre` besides, which is what a scan
//! computes, and what is left of both without decoding, as multiples of it. The first round
//! makes filters, loads the network and warms the memory; it counts only with
//! `--repeat 1`. `tools/bench_features.py` runs it beside librosa and bliss-audio.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{path::Path, process::ExitCode};

use songrec_audio::{
    BlockSink, Decoder, Resampler, Result, Wanted,
    dsp::{DSP45, Extractor, LoudnessMeter, SAMPLE_RATE, Source},
};
use songrec_models::TIMBRE;

/// Milliseconds of CPU that each stage took, and the length of the audio.
struct Times {
    seconds: f64,
    decode: f64,
    resample: f64,
    loudness: f64,
    frames: f64,
    finish: f64,
    /// The file to features and `dsp45`.
    dsp: f64,
    /// The same and `timbre`.
    all: f64,
}

fn main() -> ExitCode {
    let mut json = false;
    let mut repeat = 5usize;
    let mut files = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--repeat" => {
                let Some(count) = arguments.next().and_then(|n| n.parse().ok()) else {
                    eprintln!("error: `--repeat` needs a number");
                    return ExitCode::FAILURE;
                };
                repeat = count;
            }
            _ => files.push(argument),
        }
    }
    if files.is_empty() {
        eprintln!("usage: features_pipeline [--json] [--repeat N] FILE…");
        return ExitCode::FAILURE;
    }
    for file in files {
        let mut best: Option<Times> = None;
        for _ in 0..repeat.max(1) {
            match measure(Path::new(&file)) {
                Ok(times) => best = Some(best.map_or_else(|| times.copied(), |b| b.least(&times))),
                Err(error) => {
                    eprintln!("error: {error}");
                    return ExitCode::FAILURE;
                }
            }
        }
        let Some(times) = best else { continue };
        if json {
            times.print_json(&file);
        } else {
            times.print(&file);
        }
    }
    ExitCode::SUCCESS
}

fn measure(path: &Path) -> Result<Times> {
    let start = cpu_ms();
    let mut decoder = Decoder::open(path)?;
    let mut mono_blocks = Vec::new();
    let mut decoded_blocks = Vec::new();
    let mut rate = SAMPLE_RATE;
    let mut channels = 1;
    // What decoding itself costs, without keeping what was decoded.
    while decoder.next_block()?.is_some() {}
    let decode = cpu_ms() - start;

    let mut decoder = Decoder::open(path)?;
    while let Some(block) = decoder.next_block()? {
        (rate, channels) = (block.sample_rate(), block.channels());
        let mut mono = Vec::new();
        block.mono_into(&mut mono);
        decoded_blocks.push(block.samples().to_vec());
        mono_blocks.push(mono);
    }
    let frames: usize = mono_blocks.iter().map(Vec::len).sum();
    let seconds = frames as f64 / f64::from(rate);

    let start = cpu_ms();
    let mut resampler = Resampler::new(rate, SAMPLE_RATE);
    let mut resampled = Vec::new();
    for mono in &mono_blocks {
        resampler.push(mono, &mut resampled);
    }
    resampler.finish(&mut resampled);
    let resample = cpu_ms() - start;

    let start = cpu_ms();
    let mut meter = LoudnessMeter::new(rate, channels);
    for block in &decoded_blocks {
        meter.push(block);
    }
    std::hint::black_box(meter.finish());
    let loudness = cpu_ms() - start;

    let start = cpu_ms();
    let mut extractor = Extractor::new(Source { sample_rate: rate, channels, name: None });
    for block in resampled.chunks(4096) {
        extractor.push(block);
    }
    let pushed = cpu_ms();
    std::hint::black_box(extractor.finish());
    let finish = cpu_ms() - pushed;

    drop((mono_blocks, decoded_blocks, resampled));
    let wanted = |models: &[&str]| Wanted {
        models: models.iter().map(|name| name.parse().expect("a model's name")).collect(),
        ..Wanted::default()
    };
    let start_dsp = cpu_ms();
    std::hint::black_box(songrec_audio::analyze(path, &wanted(&[DSP45]))?);
    let dsp = cpu_ms() - start_dsp;
    let wanted = songrec_models::Wanted {
        sound: wanted(&[TIMBRE, DSP45]),
        ..songrec_models::Wanted::default()
    };
    let start_all = cpu_ms();
    std::hint::black_box(songrec_models::analyze(path, &wanted)?);
    let all = cpu_ms() - start_all;
    Ok(Times { seconds, decode, resample, loudness, frames: pushed - start, finish, dsp, all })
}

impl Times {
    fn stages(&self) -> [f64; 7] {
        [self.decode, self.resample, self.loudness, self.frames, self.finish, self.dsp, self.all]
    }

    fn copied(&self) -> Self {
        self.least(self)
    }

    fn least(&self, other: &Self) -> Self {
        let (own, others) = (self.stages(), other.stages());
        let [decode, resample, loudness, frames, finish, dsp, all] =
            std::array::from_fn(|stage| own[stage].min(others[stage]));
        Self { seconds: self.seconds, decode, resample, loudness, frames, finish, dsp, all }
    }

    fn print(&self, file: &str) {
        println!("{file}: {:.2} s of audio, ms of CPU", self.seconds);
        for (stage, ms) in [
            ("decoding", self.decode),
            ("  resampling to 22,050 Hz", self.resample),
            ("  loudness", self.loudness),
            ("  spectral frames", self.frames),
            ("  whole clip", self.finish),
            ("decoding and DSP", self.dsp),
            ("decoding, DSP and timbre", self.all),
        ] {
            println!("  {stage:28} {ms:9.2}");
        }
        for (stage, ms) in [("DSP", self.dsp), ("DSP and timbre", self.all)] {
            let (without, with) = ((ms - self.decode) / self.decode, ms / self.decode);
            println!("  {stage}: {without:.2} times decoding, {with:.2} times with it");
        }
    }

    fn print_json(&self, file: &str) {
        let name = file.replace('\\', "\\\\").replace('"', "\\\"");
        println!(
            "{{\"file\":\"{name}\",\"seconds\":{:.3},\"decode\":{:.2},\"resample\":{:.2},\
             \"loudness\":{:.2},\"frames\":{:.2},\"finish\":{:.2},\"dsp\":{:.2},\"all\":{:.2}}}",
            self.seconds,
            self.decode,
            self.resample,
            self.loudness,
            self.frames,
            self.finish,
            self.dsp,
            self.all
        );
    }
}

/// Milliseconds that this process, whose network has a thread of its own, was on a
/// processor.
#[cfg(unix)]
fn cpu_ms() -> f64 {
    use rustix::time::{ClockId, clock_gettime};

    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// Milliseconds that passed.
#[cfg(not(unix))]
fn cpu_ms() -> f64 {
    use std::{sync::LazyLock, time::Instant};

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64() * 1e3
}
