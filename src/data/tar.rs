//! Files out of a tar archive.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use super::bytes::{open_file, read_error, unpacked};
use super::error::Problem;

/// The files of a tar archive, packed or not, whose names are wanted: by their names without folders.
pub(super) fn members(archive: &Path, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Vec<u8>>, Problem> {
    const BLOCK: u64 = 512;
    let (mut reader, most) = unpacked(open_file(archive)?)?;
    let (mut found, mut left) = (BTreeMap::new(), most);
    loop {
        let mut header = [0; BLOCK as usize];
        reader.read_exact(&mut header).map_err(|error| read_error("tar", error))?;
        // The archive ends with empty blocks.
        if header.iter().all(|byte| *byte == 0) {
            return Ok(found);
        }
        let text = |from: usize, to: usize| {
            let bytes = header[from..to].split(|byte| *byte == 0).next().unwrap_or(&[]);
            String::from_utf8_lossy(bytes).trim().to_owned()
        };
        let name = text(0, 100);
        let size = u64::from_str_radix(&text(124, 136), 8).ok().filter(|size| *size <= left);
        let size = size.ok_or_else(|| Problem::malformed("tar", "a file in it is larger than the archive can hold"))?;
        left -= size;
        let padded = size.next_multiple_of(BLOCK);
        let file_name = name.rsplit('/').next().unwrap_or(&name).to_owned();
        // Of type 0: neither a folder nor a link.
        let mut part = reader.by_ref().take(padded);
        if matches!(header[156], 0 | b'0') && wanted(&file_name) {
            let mut bytes = Vec::new();
            part.read_to_end(&mut bytes).map_err(|error| read_error("tar", error))?;
            if (bytes.len() as u64) < size {
                return Err(Problem::Truncated { expected: size, found: bytes.len() as u64 });
            }
            bytes.truncate(size as usize);
            found.insert(file_name, bytes);
        } else {
            std::io::copy(&mut part, &mut std::io::sink()).map_err(|error| read_error("tar", error))?;
        }
    }
}
