//! The bytes of a picture file to pixels. What a file is, its first bytes tell, whatever its name.
//!
//! Pixels are red, green and blue, or grey where the file knows no colours. What is transparent lies over white, as on a
//! page; 16 bits are rounded to 8. Nothing is allocated for more than a picture of [`MAX_PIXELS`], nor for more than the
//! file could hold where its format bounds that.

use std::io::Cursor;

use super::super::error::Problem;
use super::orientation::Orientation;

/// Pixels of the largest picture that is decoded.
const MAX_PIXELS: usize = 200_000_000;
/// Longest side of a picture: what JPEG can have.
const MAX_SIDE: usize = 65_535;

/// A decoded picture, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub width: usize,
    pub height: usize,
    /// 1 or 3, side by side in `values`.
    pub channels: usize,
    pub values: Vec<u8>,
    pub orientation: Orientation,
    /// Whether a part of it was transparent.
    pub transparent: bool,
    /// Whether it had 16 bits.
    pub deep: bool,
}

/// What the head of a file tells: the size as the picture is shown, and whether it is grey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub width: usize,
    pub height: usize,
    pub grey: bool,
}

/// A format of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Png,
    Jpeg,
    WebP,
    Bmp,
    Gif,
}

/// Why a picture cannot be decoded.
type Cause = String;

impl Format {
    fn of(bytes: &[u8]) -> Result<Format, Cause> {
        match bytes {
            [0x89, b'P', b'N', b'G', ..] => Ok(Format::Png),
            [0xff, 0xd8, 0xff, ..] => Ok(Format::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Format::WebP),
            [b'B', b'M', ..] => Ok(Format::Bmp),
            [b'G', b'I', b'F', b'8', ..] => Ok(Format::Gif),
            [] => Err("the file is empty".into()),
            _ => Err("it is no PNG, JPEG, WebP, BMP or GIF, whatever its name says".into()),
        }
    }
}

/// Whether bytes begin as those of a picture do.
pub(super) fn is_picture(bytes: &[u8]) -> bool {
    Format::of(bytes).is_ok()
}

/// Whether there are decoders at all.
pub(super) fn check_there() -> Result<(), Problem> {
    Ok(())
}

/// Decodes a picture.
pub(super) fn decode(bytes: &[u8]) -> Result<Picture, Cause> {
    let decoded = match Format::of(bytes)? {
        Format::Png => png::decode(bytes),
        Format::Jpeg => jpeg::decode(bytes),
        Format::WebP => webp::decode(bytes),
        Format::Bmp => bmp::decode(bytes),
        Format::Gif => gif::decode(bytes),
    };
    decoded.map_err(|cause| one_line(&cause))
}

/// A decoder's words without the lines that some end with.
fn one_line(cause: &str) -> Cause {
    cause.split_whitespace().collect::<Vec<&str>>().join(" ")
}

/// Reads the head of a picture, of which `bytes` need only be the first part.
pub(super) fn head(bytes: &[u8]) -> Result<Head, Cause> {
    let Stored { width, height, grey, orientation } = match Format::of(bytes)? {
        Format::Png => png::head(bytes),
        Format::Jpeg => jpeg::head(bytes),
        Format::WebP => webp::head(bytes),
        Format::Bmp => bmp::head(bytes),
        Format::Gif => gif::head(bytes),
    }?;
    check_size(width, height)?;
    let (width, height) = if orientation.turns() { (height, width) } else { (width, height) };
    Ok(Head { width, height, grey })
}

fn check_size(width: usize, height: usize) -> Result<(), Cause> {
    if width == 0 || height == 0 {
        return Err(format!("it has {width} x {height} pixels"));
    }
    if width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_PIXELS {
        return Err(format!(
            "it has {width} x {height} pixels; at most {} million are read, and sides of {MAX_SIDE}",
            MAX_PIXELS / 1_000_000
        ));
    }
    Ok(())
}

/// Refuses a picture of more pixels than a file of this format and size can hold.
fn check_plausible(pixels: usize, bytes: usize, most_per_byte: usize) -> Result<(), Cause> {
    match pixels / most_per_byte > bytes {
        true => Err(format!("it is damaged: it announces {pixels} pixels, more than a file of {bytes} bytes can hold")),
        false => Ok(()),
    }
}

/// Colours with a fourth channel, laid over white; true where a part was transparent.
fn over_white<const CHANNELS: usize>(values: &[u8]) -> (Vec<u8>, bool) {
    let (pixels, _) = values.as_chunks::<CHANNELS>();
    let mut transparent = false;
    let mut flat = Vec::with_capacity(pixels.len() * (CHANNELS - 1));
    for pixel in pixels {
        let alpha = u32::from(pixel[CHANNELS - 1]);
        transparent |= alpha < 255;
        flat.extend(
            pixel[..CHANNELS - 1]
                .iter()
                .map(|&value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8),
        );
    }
    (flat, transparent)
}

/// Whether a palette has no colours.
fn is_grey(palette: &[u8]) -> bool {
    palette.as_chunks().0.iter().all(|[red, green, blue]| red == green && green == blue)
}

/// What [`head`] reads of a format: a picture as it is stored.
struct Stored {
    width: usize,
    height: usize,
    grey: bool,
    orientation: Orientation,
}

/// A decoder that has read a picture's head, and what that says.
type Opened<D> = Result<(D, Stored), Cause>;

mod png {
    use super::*;
    use ::png::{ColorType, Decoder, Limits, Reader, Transformations};

    /// Deflate packs 1032 bytes into one at most, and eight pixels may lie in a byte.
    const MOST_PER_BYTE: usize = 1032 * 8;

    fn open(bytes: &[u8]) -> Result<Reader<Cursor<&[u8]>>, Cause> {
        let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: 8 * MAX_PIXELS });
        decoder.set_transformations(Transformations::EXPAND);
        decoder.set_ignore_text_chunk(true);
        decoder.ignore_checksums(false);
        decoder.read_info().map_err(|error| error.to_string())
    }

    fn orientation(reader: &Reader<Cursor<&[u8]>>) -> Orientation {
        Orientation::of_exif(reader.info().exif_metadata.as_deref())
    }

    pub(super) fn head(bytes: &[u8]) -> Result<Stored, Cause> {
        let reader = open(bytes)?;
        let info = reader.info();
        let grey = match info.color_type {
            ColorType::Grayscale | ColorType::GrayscaleAlpha => true,
            ColorType::Indexed => is_grey(info.palette.as_deref().unwrap_or_default()),
            ColorType::Rgb | ColorType::Rgba => false,
        };
        let (width, height) = (info.width as usize, info.height as usize);
        Ok(Stored { width, height, grey, orientation: orientation(&reader) })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Picture, Cause> {
        let mut reader = open(bytes)?;
        let (width, height) = (reader.info().width as usize, reader.info().height as usize);
        check_size(width, height)?;
        check_plausible(width * height, bytes.len(), MOST_PER_BYTE)?;
        let orientation = orientation(&reader);
        let (kind, depth) = reader.output_color_type();
        let size = reader.output_buffer_size().ok_or("it is too large for this machine")?;
        let mut values = vec![0; size];
        reader.next_frame(&mut values).map_err(|error| error.to_string())?;
        // What follows the pixels tells a whole file from one that is cut short.
        reader.finish().map_err(|error| error.to_string())?;
        let deep = depth == ::png::BitDepth::Sixteen;
        if deep {
            let round =
                |&[high, low]: &[u8; 2]| ((u32::from(u16::from_be_bytes([high, low])) * 255 + 32_767) / 65_535) as u8;
            values = values.as_chunks().0.iter().map(round).collect();
        }
        let (channels, (values, transparent)) = match kind {
            ColorType::Grayscale => (1, (values, false)),
            ColorType::GrayscaleAlpha => (1, over_white::<2>(&values)),
            ColorType::Rgba => (3, over_white::<4>(&values)),
            ColorType::Rgb | ColorType::Indexed => (3, (values, false)),
        };
        Ok(Picture { width, height, channels, values, orientation, transparent, deep })
    }
}

mod jpeg {
    use super::*;
    use zune_core::bytestream::ZCursor;
    use zune_core::colorspace::ColorSpace;
    use zune_core::options::DecoderOptions;
    use zune_jpeg::JpegDecoder;

    /// A block of 64 pixels takes a bit at least.
    const MOST_PER_BYTE: usize = 64 * 8;
    /// Markers of JPEG: what compressed pixels begin with, and the end of the picture.
    const SCAN: &[u8] = &[0xff, 0xda];
    const END: &[u8] = &[0xff, 0xd9];

    fn open(bytes: &[u8]) -> Opened<JpegDecoder<ZCursor<&[u8]>>> {
        let options = DecoderOptions::default().set_strict_mode(false).set_max_width(MAX_SIDE).set_max_height(MAX_SIDE);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(|error| format!("{error:?}"))?;
        let (width, height) = decoder.dimensions().ok_or("it has no size")?;
        let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
        let orientation = Orientation::of_exif(decoder.exif().map(Vec::as_slice));
        Ok((decoder, Stored { width, height, grey, orientation }))
    }

    pub(super) fn head(bytes: &[u8]) -> Result<Stored, Cause> {
        Ok(open(bytes)?.1)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Picture, Cause> {
        let (mut decoder, Stored { width, height, grey, orientation }) = open(bytes)?;
        check_size(width, height)?;
        check_plausible(width * height, bytes.len(), MOST_PER_BYTE)?;
        check_end(bytes)?;
        let (space, channels) = if grey { (ColorSpace::Luma, 1) } else { (ColorSpace::RGB, 3) };
        decoder.set_options(decoder.options().jpeg_set_out_colorspace(space));
        let values = decoder.decode().map_err(|error| format!("{error:?}"))?;
        if values.len() != width * height * channels {
            return Err("its pixels are not those that its head announces".into());
        }
        Ok(Picture { width, height, channels, values, orientation, transparent: false, deep: false })
    }

    /// Refuses a picture without an end: the decoder would make up what is missing.
    fn check_end(bytes: &[u8]) -> Result<(), Cause> {
        let last = bytes.windows(2).rposition(|two| two == SCAN).unwrap_or(0);
        match bytes[last..].windows(2).any(|two| two == END) {
            true => Ok(()),
            false => Err("it is cut short: its end is missing".into()),
        }
    }
}

mod webp {
    use super::*;
    use image_webp::WebPDecoder;

    fn open(bytes: &[u8]) -> Opened<WebPDecoder<Cursor<&[u8]>>> {
        let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
        decoder.set_memory_limit(bytes.len());
        let (width, height) = decoder.dimensions();
        let exif = decoder.exif_metadata().ok().flatten();
        let (width, height) = (width as usize, height as usize);
        Ok((decoder, Stored { width, height, grey: false, orientation: Orientation::of_exif(exif.as_deref()) }))
    }

    pub(super) fn head(bytes: &[u8]) -> Result<Stored, Cause> {
        Ok(open(bytes)?.1)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Picture, Cause> {
        let (mut decoder, Stored { width, height, orientation, .. }) = open(bytes)?;
        check_size(width, height)?;
        let has_alpha = decoder.has_alpha();
        let size = decoder.output_buffer_size().ok_or("it is too large for this machine")?;
        let mut values = vec![0; size];
        decoder.read_image(&mut values).map_err(|error| error.to_string())?;
        let (values, transparent) = if has_alpha { over_white::<4>(&values) } else { (values, false) };
        Ok(Picture { width, height, channels: 3, values, orientation, transparent, deep: false })
    }
}

mod bmp {
    use super::*;

    /// As the head says it: the decoder misplaces the rows of pictures of other widths than 8, 24 and 32.
    fn bits_per_pixel(bytes: &[u8]) -> Option<u16> {
        let of_head = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes);
        // An old head is of 12 bytes, and its numbers of 2.
        of_head(if of_head(14)? == 12 { 24 } else { 28 })
    }

    use zune_bmp::BmpDecoder;
    use zune_core::bit_depth::BitDepth;
    use zune_core::bytestream::ZCursor;
    use zune_core::colorspace::ColorSpace;
    use zune_core::options::DecoderOptions;

    fn open(bytes: &[u8]) -> Opened<BmpDecoder<ZCursor<&[u8]>>> {
        let options = DecoderOptions::default().set_max_width(MAX_SIDE).set_max_height(MAX_SIDE);
        let mut decoder = BmpDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(|error| format!("{error:?}"))?;
        let (width, height) = decoder.dimensions().ok_or("it has no size")?;
        Ok((decoder, Stored { width, height, grey: false, orientation: Orientation::UPRIGHT }))
    }

    pub(super) fn head(bytes: &[u8]) -> Result<Stored, Cause> {
        Ok(open(bytes)?.1)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Picture, Cause> {
        let (mut decoder, Stored { width, height, orientation, .. }) = open(bytes)?;
        check_size(width, height)?;
        let bits = bits_per_pixel(bytes);
        if !bits.is_some_and(|bits| [8, 24, 32].contains(&bits)) {
            let bits = bits.map_or("an unknown number of".into(), |bits| bits.to_string());
            return Err(format!("a BMP of {bits} bits a pixel is not read, but of 8, 24 and 32: convert it to PNG"));
        }
        let space = decoder.colorspace();
        if decoder.depth() != BitDepth::Eight {
            return Err("it has another depth than 8 bits".into());
        }
        let values = decoder.decode().map_err(|error| format!("{error:?}"))?;
        let (channels, values) = match space {
            Some(ColorSpace::Luma) => (1, values),
            Some(ColorSpace::RGB) => (3, values),
            // Programs leave the fourth byte at 0 or 255 as they like: it is none of a picture's.
            Some(ColorSpace::RGBA) => (3, values.as_chunks::<4>().0.iter().flat_map(|p| [p[0], p[1], p[2]]).collect()),
            other => return Err(format!("its colours are of an unknown kind ({other:?})")),
        };
        if values.len() != width * height * channels {
            return Err("its pixels are not those that its head announces".into());
        }
        Ok(Picture { width, height, channels, values, orientation, transparent: false, deep: false })
    }
}

mod gif {
    use super::*;
    use ::gif::{ColorOutput, DecodeOptions, Decoder, MemoryLimit};

    /// LZW's longest word in its shortest code.
    const MOST_PER_BYTE: usize = 4096;

    fn open(bytes: &[u8]) -> Result<Decoder<Cursor<&[u8]>>, Cause> {
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::RGBA);
        let most = std::num::NonZeroU64::new(4 * MAX_PIXELS as u64).unwrap_or(std::num::NonZeroU64::MAX);
        options.set_memory_limit(MemoryLimit::Bytes(most));
        options.read_info(Cursor::new(bytes)).map_err(|error| error.to_string())
    }

    pub(super) fn head(bytes: &[u8]) -> Result<Stored, Cause> {
        let decoder = open(bytes)?;
        let grey = decoder.global_palette().is_some_and(is_grey);
        let (width, height) = (decoder.width().into(), decoder.height().into());
        Ok(Stored { width, height, grey, orientation: Orientation::UPRIGHT })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Picture, Cause> {
        let mut decoder = open(bytes)?;
        let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
        check_size(width, height)?;
        check_plausible(width * height, bytes.len(), MOST_PER_BYTE)?;
        let first = decoder.next_frame_info().map_err(|error| error.to_string())?;
        let first = first.ok_or("it has no frame")?;
        let (left, top, columns, rows) = (first.left, first.top, first.width, first.height);
        check_plausible(usize::from(columns) * usize::from(rows), bytes.len(), MOST_PER_BYTE)?;
        let mut frame = vec![0; decoder.buffer_size()];
        decoder.read_into_buffer(&mut frame).map_err(|error| error.to_string())?;
        let (frame, mut transparent) = over_white::<4>(&frame);
        let [left, top, columns, rows] = [left, top, columns, rows].map(usize::from);
        if (left, top, columns, rows) == (0, 0, width, height) {
            return Ok(picture(width, height, frame, transparent));
        }
        // What the first frame leaves free is transparent, and what lies beyond the screen is not seen.
        transparent |= left > 0 || top > 0 || left + columns < width || top + rows < height;
        let mut screen = vec![255; width * height * 3];
        let (shown, skipped) = (columns.min(width.saturating_sub(left)), left.min(width));
        for (line, row) in frame.chunks_exact((columns * 3).max(1)).zip(screen.chunks_exact_mut(width * 3).skip(top)) {
            row[skipped * 3..][..shown * 3].copy_from_slice(&line[..shown * 3]);
        }
        Ok(picture(width, height, screen, transparent))
    }

    fn picture(width: usize, height: usize, values: Vec<u8>, transparent: bool) -> Picture {
        Picture { width, height, channels: 3, values, orientation: Orientation::UPRIGHT, transparent, deep: false }
    }
}
