//! What a picture file is, by its first bytes, whatever its name.

/// A format of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum PictureFormat {
    Png,
    Jpeg,
    WebP,
    Bmp,
    Gif,
}

impl PictureFormat {
    /// The format, or what is wrong with the bytes.
    pub(in crate::data) fn of(bytes: &[u8]) -> Result<PictureFormat, &'static str> {
        match bytes {
            [0x89, b'P', b'N', b'G', ..] => Ok(PictureFormat::Png),
            [0xff, 0xd8, 0xff, ..] => Ok(PictureFormat::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(PictureFormat::WebP),
            [b'B', b'M', ..] => Ok(PictureFormat::Bmp),
            [b'G', b'I', b'F', b'8', ..] => Ok(PictureFormat::Gif),
            [] => Err("the file is empty"),
            _ => Err("it is no PNG, JPEG, WebP, BMP or GIF, whatever its name says"),
        }
    }
}
