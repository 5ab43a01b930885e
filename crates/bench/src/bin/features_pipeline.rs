//! Where the time goes from a file to its vectors and features.
//!
//! `features_pipeline [--json] [--repeat N] FILE…` prints, for each file, the
//! least CPU time of `N` rounds (5 by default) in milliseconds: decoding alone,
//! decoding and resampling, loudness alone, everything but decoding, and the
//! whole of `songrec_audio::analyze`. `tools/bench_features.py` runs it beside
//! librosa and bliss-audio.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{path::Path, process::ExitCode, time::Instant};

use songrec_audio::{
    BlockSink, Decoder, Resampler, Result, Wanted, analyze,
    dsp::{Extractor, LoudnessMeter, SAMPLE_RATE, Source},
};

/// Milliseconds of CPU that each stage took, and the length of the audio.
struct Times {
    seconds: f64,
    decode: f64,
    resample: f64,
    loudness: f64,
    frames: f64,
    finish: f64,
    analyze: f64,
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
    let start_analyze = cpu_ms();
    std::hint::black_box(analyze(path, &Wanted::default())?);
    let analyze = cpu_ms() - start_analyze;
    Ok(Times { seconds, decode, resample, loudness, frames: pushed - start, finish, analyze })
}

impl Times {
    fn all(&self) -> [f64; 6] {
        [self.decode, self.resample, self.loudness, self.frames, self.finish, self.analyze]
    }

    fn copied(&self) -> Self {
        self.least(self)
    }

    fn least(&self, other: &Self) -> Self {
        let [decode, resample, loudness, frames, finish, analyze] =
            std::array::from_fn(|stage| self.all()[stage].min(other.all()[stage]));
        Self { seconds: self.seconds, decode, resample, loudness, frames, finish, analyze }
    }

    fn print(&self, file: &str) {
        println!("{file}: {:.0} s of audio, ms of CPU", self.seconds);
        for (stage, ms) in [
            ("decode", self.decode),
            ("resample", self.resample),
            ("loudness", self.loudness),
            ("per frame", self.frames),
            ("whole clip", self.finish),
            ("all of it (analyze)", self.analyze),
        ] {
            println!("  {stage:20} {ms:8.1}");
        }
    }

    fn print_json(&self, file: &str) {
        let name = file.replace('\\', "\\\\").replace('"', "\\\"");
        println!(
            "{{\"file\":\"{name}\",\"seconds\":{:.3},\"decode\":{:.1},\"resample\":{:.1},\
             \"loudness\":{:.1},\"frames\":{:.1},\"finish\":{:.1},\"analyze\":{:.1}}}",
            self.seconds,
            self.decode,
            self.resample,
            self.loudness,
            self.frames,
            self.finish,
            self.analyze
        );
    }
}

/// Milliseconds that this thread was on a processor; where the system does not
/// tell, that passed.
fn cpu_ms() -> f64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let scheduled = std::fs::read_to_string("/proc/thread-self/schedstat").ok().and_then(|text| {
        text.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok())
    });
    scheduled.map_or_else(|| START.elapsed().as_secs_f64() * 1e3, |nanoseconds| nanoseconds / 1e6)
}
