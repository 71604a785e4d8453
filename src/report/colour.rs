//! Colours: a palette that colour-blind readers can tell apart, and maps from numbers to colours.

/// A colour in sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rgb(
    /// Red.
    pub u8,
    /// Green.
    pub u8,
    /// Blue.
    pub u8,
);

impl Rgb {
    /// The colour as CSS and SVG write it.
    pub fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// How light the colour looks, 0 to 1 (the luma of ITU-R BT.601).
    pub(crate) fn lightness(self) -> f64 {
        (0.299 * f64::from(self.0) + 0.587 * f64::from(self.1) + 0.114 * f64::from(self.2)) / 255.0
    }

    /// The same hue, brighter (`factor` above 1) or darker.
    pub(crate) fn shade(self, factor: f64) -> Rgb {
        let scale = |value: u8| (f64::from(value) * factor).round().clamp(0.0, 255.0) as u8;
        Rgb(scale(self.0), scale(self.1), scale(self.2))
    }
}

pub(crate) const INK: Rgb = Rgb(0x22, 0x22, 0x22);
pub(crate) const MUTED: Rgb = Rgb(0x5a, 0x5a, 0x5a);
pub(crate) const GRID: Rgb = Rgb(0xe4, 0xe4, 0xe4);
pub(crate) const MARK: Rgb = Rgb(0x8a, 0x8a, 0x8a);
pub(crate) const WHITE: Rgb = Rgb(255, 255, 255);
pub(crate) const WRONG: Rgb = Rgb(0xc6, 0x1a, 0x09);

/// How many series have colours of their own.
pub(crate) const COLOURS: usize = 7;

/// Okabe and Ito's palette without its yellow, which is too pale for lines on white.
const PALETTE: [Rgb; COLOURS] = [
    Rgb(0x00, 0x72, 0xb2),
    Rgb(0xd5, 0x5e, 0x00),
    Rgb(0x00, 0x9e, 0x73),
    Rgb(0xcc, 0x79, 0xa7),
    Rgb(0xe6, 0x9f, 0x00),
    Rgb(0x56, 0xb4, 0xe9),
    Rgb(0x00, 0x00, 0x00),
];

/// The colour of the `index`th series of a chart. Colours repeat after seven.
pub fn series_colour(index: usize) -> Rgb {
    PALETTE[index % PALETTE.len()]
}

/// A map from 0..1 to colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourMap {
    /// Black to white.
    Grey,
    /// Dark violet over green to yellow (viridis): perceptually even, safe for colour-blind readers.
    Sequential,
    /// White to dark blue, for counts and shares.
    Blues,
    /// Blue over white to red, for signed values with zero in the middle.
    Diverging,
}

impl ColourMap {
    /// The colour at `position`, which is clamped to 0..1. A position that is not a number is drawn in grey.
    pub fn at(self, position: f64) -> Rgb {
        if position.is_nan() {
            return Rgb(0xbb, 0xbb, 0xbb);
        }
        let stops = self.stops();
        let place = position.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
        let index = (place as usize).min(stops.len() - 2);
        let share = place - index as f64;
        let mix = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u8;
        let (from, to) = (stops[index], stops[index + 1]);
        Rgb(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
    }

    fn stops(self) -> &'static [Rgb] {
        match self {
            ColourMap::Grey => &[Rgb(0, 0, 0), Rgb(255, 255, 255)],
            ColourMap::Sequential => &[
                Rgb(0x44, 0x01, 0x54),
                Rgb(0x48, 0x28, 0x78),
                Rgb(0x3e, 0x49, 0x89),
                Rgb(0x31, 0x68, 0x8e),
                Rgb(0x26, 0x82, 0x8e),
                Rgb(0x1f, 0x9e, 0x89),
                Rgb(0x35, 0xb7, 0x79),
                Rgb(0x6e, 0xce, 0x58),
                Rgb(0xb5, 0xde, 0x2b),
                Rgb(0xfd, 0xe7, 0x25),
            ],
            ColourMap::Blues => &[
                Rgb(0xff, 0xff, 0xff),
                Rgb(0xde, 0xeb, 0xf7),
                Rgb(0x9e, 0xca, 0xe1),
                Rgb(0x42, 0x92, 0xc6),
                Rgb(0x08, 0x51, 0x9c),
                Rgb(0x08, 0x30, 0x6b),
            ],
            ColourMap::Diverging => &[
                Rgb(0x05, 0x30, 0x61),
                Rgb(0x43, 0x93, 0xc3),
                Rgb(0xd1, 0xe5, 0xf0),
                Rgb(0xf7, 0xf7, 0xf7),
                Rgb(0xfd, 0xdb, 0xc7),
                Rgb(0xd6, 0x60, 0x4d),
                Rgb(0x67, 0x00, 0x1f),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_hit_their_ends_and_middle() {
        assert_eq!(ColourMap::Grey.at(0.0), Rgb(0, 0, 0));
        assert_eq!(ColourMap::Grey.at(0.5), Rgb(128, 128, 128));
        assert_eq!(ColourMap::Grey.at(7.0), Rgb(255, 255, 255));
        assert_eq!(ColourMap::Diverging.at(0.5), Rgb(0xf7, 0xf7, 0xf7));
        assert_eq!(ColourMap::Sequential.at(f64::NAN), Rgb(0xbb, 0xbb, 0xbb));
    }

    #[test]
    fn the_first_seven_series_differ() {
        for first in 0..7 {
            for second in 0..first {
                assert_ne!(series_colour(first), series_colour(second));
            }
        }
    }
}
