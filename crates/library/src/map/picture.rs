//! A map as a picture, for papers.

use std::{collections::BTreeMap, convert::Infallible};

use embedded_graphics::{
    Drawable, Pixel,
    geometry::{OriginDimensions, Point, Size},
    mono_font::{MonoTextStyle, iso_8859_1::FONT_10X20},
    pixelcolor::{Rgb888, RgbColor},
    prelude::DrawTarget,
    text::Text,
};

use super::{MapColor, MapData, MapSong};
use crate::{Error, ErrorKind, Result};

const WIDTH: usize = 1_600;
const HEIGHT: usize = 1_200;
/// The part on the right that says what colors mean.
const LEGEND: usize = 320;
const MARGIN: f32 = 40.0;
/// Kinds that have a color of their own; the others are grey.
const KINDS: usize = 12;
/// Letters of the name of a kind that fit.
const LETTERS: usize = 24;

/// Colors that people who see few of them tell apart: the eight of Okabe and Ito
/// (2008) without black, and five of Tol's muted ones (2021).
const PALETTE: [[u8; 3]; KINDS] = [
    [0, 114, 178],
    [230, 159, 0],
    [0, 158, 115],
    [213, 94, 0],
    [204, 121, 167],
    [86, 180, 233],
    [240, 228, 66],
    [51, 34, 136],
    [136, 34, 85],
    [17, 119, 51],
    [153, 153, 51],
    [170, 68, 153],
];
const GREY: [u8; 3] = [190, 190, 190];
/// The ends and the middle of the colors of numbers, dark to light, as in viridis (van der
/// Walt and Smith 2015).
const RAMP: [[u8; 3]; 5] =
    [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

/// What the color of a song stands for.
enum Colors {
    Kinds { of: BTreeMap<String, usize>, names: Vec<(String, usize)> },
    Numbers { low: f64, high: f64 },
}

/// The map as a PNG file.
pub(super) fn picture(data: &MapData) -> Result<Vec<u8>> {
    if data.map.dims != 2 {
        return Err(Error::usage("a picture shows two dimensions, and this map has three")
            .with_hint("write it as a page, or draw it in two dimensions"));
    }
    let mut canvas = Canvas { pixels: vec![255; WIDTH * HEIGHT * 3] };
    let colors = Colors::of(data);
    let places = places(data);
    let radius = (120.0 / (places.len() as f32).sqrt()).clamp(1.5, 7.0);
    let alpha = if places.len() > 20_000 { 0.5 } else { 0.85 };
    // Songs without a color lie below those with one.
    let colored: Vec<Option<[u8; 3]>> =
        data.songs.iter().map(|song| colors.color(data.color, song.as_ref())).collect();
    for below in [true, false] {
        for (place, color) in places.iter().zip(&colored) {
            if color.is_none() == below {
                canvas.disc(*place, radius, color.unwrap_or(GREY), alpha);
            }
        }
    }
    colors.legend(&mut canvas, data);
    canvas.png()
}

// In pixels, with the same scale in both directions.
fn places(data: &MapData) -> Vec<[f32; 2]> {
    let at = |number: usize, axis: usize| data.map.place(number)[axis];
    let count = data.map.songs.len();
    let mut ends = [[f32::INFINITY, f32::NEG_INFINITY]; 2];
    for number in 0..count {
        for (axis, [low, high]) in ends.iter_mut().enumerate() {
            *low = low.min(at(number, axis));
            *high = high.max(at(number, axis));
        }
    }
    let room = [(WIDTH - LEGEND) as f32 - 2.0 * MARGIN, HEIGHT as f32 - 2.0 * MARGIN];
    let scale = ends
        .iter()
        .zip(room)
        .map(|([low, high], room)| room / (high - low).max(f32::MIN_POSITIVE))
        .fold(f32::INFINITY, f32::min);
    let middle = ends.map(|[low, high]| f32::midpoint(low, high));
    let x = |number| MARGIN + room[0] / 2.0 + (at(number, 0) - middle[0]) * scale;
    // Pictures count from the top.
    let y = |number| MARGIN + room[1] / 2.0 - (at(number, 1) - middle[1]) * scale;
    (0..count).map(|number| [x(number), y(number)]).collect()
}

impl Colors {
    fn of(data: &MapData) -> Self {
        let songs = data.songs.iter().flatten();
        if matches!(data.color, MapColor::Bpm | MapColor::Anomaly) {
            let mut numbers: Vec<f64> = songs.filter_map(|song| number(data.color, song)).collect();
            numbers.sort_by(f64::total_cmp);
            // A single far one would take all colors.
            let at = |part: f64| numbers.get((numbers.len() as f64 * part) as usize).copied();
            return Self::Numbers { low: at(0.02).unwrap_or(0.0), high: at(0.98).unwrap_or(1.0) };
        }
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for song in songs {
            if let Some(kind) = kind_of(data.color, song) {
                *counts.entry(kind).or_default() += 1;
            }
        }
        let mut names: Vec<(String, u64)> = counts.into_iter().collect();
        names.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        names.truncate(KINDS);
        let names: Vec<(String, usize)> =
            names.into_iter().enumerate().map(|(number, (name, _))| (name, number)).collect();
        Self::Kinds { of: names.iter().cloned().collect(), names }
    }

    fn color(&self, by: MapColor, song: Option<&MapSong>) -> Option<[u8; 3]> {
        let song = song?;
        match self {
            Self::Kinds { of, .. } => {
                let kind = kind_of(by, song)?;
                of.get(&kind).map(|number| PALETTE[*number])
            }
            Self::Numbers { low, high } => {
                let part = (number(by, song)? - low) / (high - low).max(f64::MIN_POSITIVE);
                Some(ramp(part))
            }
        }
    }

    fn legend(&self, canvas: &mut Canvas, data: &MapData) {
        let left = (WIDTH - LEGEND) as i32;
        let mut top = 60;
        let mut line = |canvas: &mut Canvas, color: Option<[u8; 3]>, text: &str| {
            if let Some(color) = color {
                canvas.disc([left as f32 + 8.0, top as f32 - 6.0], 7.0, color, 1.0);
            }
            canvas.text(Point::new(left + 26, top), text);
            top += 30;
        };
        line(canvas, None, data.color.as_str());
        match self {
            Self::Kinds { names, .. } => {
                for (name, number) in names {
                    let name = match data.color {
                        MapColor::Cluster => cluster_name(data, name),
                        _ => name.clone(),
                    };
                    line(canvas, Some(PALETTE[*number]), &name);
                }
                line(canvas, Some(GREY), "other or unknown");
            }
            Self::Numbers { low, high } => {
                for step in 0..=4 {
                    let part = f64::from(step) / 4.0;
                    let value = low + (high - low) * part;
                    let text = match data.color {
                        MapColor::Anomaly => format!("{value:.3}"),
                        _ => format!("{value:.0}"),
                    };
                    line(canvas, Some(ramp(part)), &text);
                }
                line(canvas, Some(GREY), "unknown");
            }
        }
        let made = format!("{} of {}", data.map.method.as_str(), data.map.model);
        canvas.text(Point::new(left, HEIGHT as i32 - 60), &made);
        let songs = format!("{} songs", data.map.songs.len());
        canvas.text(Point::new(left, HEIGHT as i32 - 34), &songs);
    }
}

fn cluster_name(data: &MapData, number: &str) -> String {
    let found = data.clusters.iter().find(|(id, _)| id.to_string() == number);
    found.map_or_else(|| number.to_owned(), |(_, name)| name.clone())
}

fn kind_of(by: MapColor, song: &MapSong) -> Option<String> {
    match by {
        MapColor::Genre => song.genre.as_deref().map(str::to_owned),
        MapColor::Instrument => song.instrument.as_deref().map(str::to_owned),
        MapColor::Key => song.key.map(|key| key.to_string()),
        MapColor::Cluster => song.cluster.map(|cluster| cluster.to_string()),
        MapColor::Bpm | MapColor::Anomaly => None,
    }
}

fn number(by: MapColor, song: &MapSong) -> Option<f64> {
    match by {
        MapColor::Bpm => song.bpm,
        MapColor::Anomaly => song.anomaly,
        _ => None,
    }
}

fn ramp(part: f64) -> [u8; 3] {
    let at = part.clamp(0.0, 1.0) * (RAMP.len() - 1) as f64;
    let below = (at as usize).min(RAMP.len() - 2);
    let rest = at - below as f64;
    std::array::from_fn(|channel| {
        let (low, high) = (f64::from(RAMP[below][channel]), f64::from(RAMP[below + 1][channel]));
        (low + (high - low) * rest).round() as u8
    })
}

/// Pixels of three bytes each, row after row.
struct Canvas {
    pixels: Vec<u8>,
}

impl Canvas {
    // A disc whose edge is as soft as one pixel.
    fn disc(&mut self, [x, y]: [f32; 2], radius: f32, color: [u8; 3], alpha: f32) {
        let range = |middle: f32, end: usize| {
            let low = (middle - radius - 1.0).floor().max(0.0) as usize;
            let high = ((middle + radius + 1.0).ceil().max(0.0) as usize).min(end);
            low..high
        };
        for row in range(y, HEIGHT) {
            for column in range(x, WIDTH) {
                let distance = ((column as f32 - x).powi(2) + (row as f32 - y).powi(2)).sqrt();
                let cover = (radius + 0.5 - distance).clamp(0.0, 1.0) * alpha;
                let pixel = &mut self.pixels[(row * WIDTH + column) * 3..][..3];
                for (old, new) in pixel.iter_mut().zip(color) {
                    *old = (f32::from(*old) * (1.0 - cover) + f32::from(new) * cover).round() as u8;
                }
            }
        }
    }

    fn text(&mut self, at: Point, text: &str) {
        // The font has no letters but those of Western Europe.
        let text: String = text
            .chars()
            .map(
                |letter| if u32::from(letter) < 256 && !letter.is_control() { letter } else { '?' },
            )
            .take(LETTERS)
            .collect();
        let style = MonoTextStyle::new(&FONT_10X20, Rgb888::new(40, 40, 40));
        match Text::new(&text, at, style).draw(self) {
            Ok(_) => {}
            Err(never) => match never {},
        }
    }

    fn png(&self) -> Result<Vec<u8>> {
        let failed = |error: png::EncodingError| {
            Error::new(ErrorKind::Failed, "could not make the picture").because(error)
        };
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, WIDTH as u32, HEIGHT as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&self.pixels).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(bytes)
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(WIDTH as u32, HEIGHT as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(
        &mut self,
        pixels: I,
    ) -> std::result::Result<(), Infallible> {
        for Pixel(at, color) in pixels {
            let (Ok(x), Ok(y)) = (usize::try_from(at.x), usize::try_from(at.y)) else { continue };
            if x < WIDTH && y < HEIGHT {
                let pixel = &mut self.pixels[(y * WIDTH + x) * 3..][..3];
                pixel.copy_from_slice(&[color.r(), color.g(), color.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_colors_from_dark_to_light() {
        assert_eq!((ramp(-1.0), ramp(2.0)), (RAMP[0], RAMP[4]));
        assert_eq!(ramp(0.5), RAMP[2]);
        let light = |color: [u8; 3]| color.map(u32::from).iter().sum::<u32>();
        assert!(light(ramp(0.2)) < light(ramp(0.8)));
    }

    #[test]
    fn a_disc_is_round_and_stays_on_the_picture() {
        let mut canvas = Canvas { pixels: vec![255; WIDTH * HEIGHT * 3] };
        canvas.disc([100.0, 100.0], 5.0, [0, 0, 0], 1.0);
        canvas.disc([-2.0, HEIGHT as f32 + 1.0], 5.0, [0, 0, 0], 1.0);
        let at = |x: usize, y: usize| canvas.pixels[(y * WIDTH + x) * 3];
        assert_eq!((at(100, 100), at(104, 104), at(100, 107)), (0, 255, 255));
        assert_eq!(at(100, 105), 128);
    }
}
