//! Changes files so that they still look like what they were.

use std::io::{Cursor, Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use hdf5_reader::checksum::jenkins_lookup3;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Numbers that follow from a seed (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From 0 to below `end`; 0 where that is nothing.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// What a file is made of, as its name tells.
pub fn mutate(random: &mut Random, name: &str, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    if plain != name && !random.one_in(4) {
        return repack_gz(random, plain, bytes, other).unwrap_or_else(|| bytewise(random, bytes, other));
    }
    let ending = name.rsplit('.').next().unwrap_or_default();
    let structured = match ending {
        "npy" => npy_header(random, bytes),
        "npz" => repack_npz(random, bytes, other),
        "safetensors" => safetensors_header(random, bytes),
        "csv" | "tsv" | "txt" | "toml" | "json" | "jsonl" => Some(text(random, bytes)),
        _ => None,
    };
    let mut changed = match structured {
        Some(changed) if !random.one_in(3) => changed,
        _ => bytewise(random, bytes, other),
    };
    if ending == "h5" && !random.one_in(4) {
        mend_checksums(&mut changed);
    }
    changed
}

/// One to four changes of bytes, whatever they mean.
fn bytewise(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let longest = 1 << random.below(9);
        let length = random.below(longest).min(bytes.len() - at);
        match random.below(9) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = *random.pick(&[0, 1, 2, 8, 0x7f, 0x80, 0xfe, 0xff]),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let copy = bytes[at..at + length].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            5 if !other.is_empty() => {
                let from = random.below(other.len());
                let part = &other[from..(from + length).min(other.len())];
                let end = (at + part.len()).min(bytes.len());
                bytes.splice(at..end, part.iter().copied());
            }
            6 => {
                let noise: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
                bytes[at..at + length].copy_from_slice(&noise);
            }
            _ => length_field(random, &mut bytes),
        }
    }
    bytes
}

/// Writes a number that could be a length, or be too much, over what could be one.
fn length_field(random: &mut Random, bytes: &mut [u8]) {
    let total = bytes.len() as u64;
    let near = [total, total.wrapping_sub(1), total + 1, random.next() % (total + 1)];
    let odd = [0, 1, 2, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 32, 1 << 40, 1 << 63, u64::MAX];
    let value = if random.one_in(2) { *random.pick(&near) } else { *random.pick(&odd) };
    let width = *random.pick(&[1, 2, 4, 8]);
    if bytes.len() < width {
        return;
    }
    let at = random.below(bytes.len() - width + 1);
    let small = value.to_le_bytes();
    let field = &mut bytes[at..at + width];
    field.copy_from_slice(&small[..width]);
    if random.one_in(2) {
        field.reverse();
    }
}

/// Words that mean something somewhere, or nearly.
const WORDS: &[&str] = &[
    "0",
    "1",
    "2",
    "-1",
    "255",
    "65536",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "9223372036854775808",
    "1000000",
    "0.5",
    "-0.0",
    "1e308",
    "1e999",
    "-1e999",
    "1e-320",
    "nan",
    "inf",
    "-inf",
    "true",
    "True",
    "False",
    "null",
    "\"\"",
    "''",
    "[]",
    "{}",
    "()",
    "#",
    "\n",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    "=",
    ".",
    "\u{1b}[31m",
    "\u{0}",
    "é",
    "'<f4'",
    "'>i8'",
    "'|b1'",
    "'|O'",
    "'|V2'",
    "'=f8'",
    "F32",
    "F64",
    "BF16",
    "U32",
    "\"full\"",
    "\"28x28:relu\"",
    "5L",
];

/// One to three changes of words or lines.
fn text(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    for _ in 0..=random.below(3) {
        let words = words(&text);
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let (range, line) = (random.pick(&words).clone(), random.below(lines.len().max(1)));
        text = match random.below(8) {
            0 => [&text[..range.start], &text[range.end..]].concat(),
            1 => {
                let other = text[random.pick(&words).clone()].to_owned();
                [&text[..range.start], &other, &text[range.end..]].concat()
            }
            2 if !lines.is_empty() => [&lines[..line], &lines[line + 1..]].concat().concat(),
            3 if !lines.is_empty() => [&lines[..=line], &lines[line..]].concat().concat(),
            4 => {
                let deepest = random.below(14);
                let deep = random.pick(&["[", "(", "{", "9", "a.", "{a=", "[[", "\""]).repeat(1 << deepest);
                [&text[..range.start], &deep, &text[range.start..]].concat()
            }
            5 => [&text[..range.start], *random.pick(WORDS), &text[range.start..]].concat(),
            _ => [&text[..range.start], *random.pick(WORDS), &text[range.end..]].concat(),
        };
    }
    text.into_bytes()
}

/// Where the words of a text are: numbers and names, and the signs between them.
fn words(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        if c.is_ascii_alphanumeric() || "._-+".contains(c) {
            start.get_or_insert(at);
            continue;
        }
        words.extend(start.take().map(|start| start..at));
        if !c.is_whitespace() {
            words.push(at..at + c.len_utf8());
        }
    }
    words.extend(start.map(|start| start..text.len()));
    if words.is_empty() { std::iter::once(0..0).collect() } else { words }
}

/// Changes the header of a .npy file; its length is right again.
fn npy_header(random: &mut Random, bytes: &[u8]) -> Option<Vec<u8>> {
    let width = if *bytes.get(6)? == 1 { 2 } else { 4 };
    let start = 8 + width;
    let length = bytes.get(8..start)?.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    let header = bytes.get(start..start.checked_add(length)?)?;
    let header = text(random, header);
    Some([&bytes[..8], &header.len().to_le_bytes()[..width], &header, &bytes[start + length..]].concat())
}

/// Changes the header of a .safetensors file; its length is right again.
fn safetensors_header(random: &mut Random, bytes: &[u8]) -> Option<Vec<u8>> {
    let length = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?) as usize;
    let header = text(random, bytes.get(8..length.checked_add(8)?)?);
    Some([&(header.len() as u64).to_le_bytes()[..], &header, &bytes[8 + length..]].concat())
}

/// Changes what a gzip file holds.
fn repack_gz(random: &mut Random, name: &str, bytes: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut content).ok()?;
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(&mutate(random, name, &content, other)).ok()?;
    out.finish().ok()
}

/// Changes what an archive holds: one entry, its name, or its packing.
fn repack_npz(random: &mut Random, bytes: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let chosen = random.below(archive.len());
    let mut out = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).ok()?;
        let mut name = entry.name().ok()?.into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).ok()?;
        if index == chosen {
            match random.below(6) {
                0 => {
                    let word: &&str = random.pick(WORDS);
                    name.push_str(word);
                }
                _ => content = mutate(random, "x.npy", &content, other),
            }
        }
        let method = *random.pick(&[CompressionMethod::Stored, CompressionMethod::Deflated]);
        let options = SimpleFileOptions::default().compression_method(method);
        out.start_file(name, options).ok()?;
        out.write_all(&content).ok()?;
    }
    Some(out.finish().ok()?.into_inner())
}

/// Makes the checksums of superblock and object headers right again, so that what is behind them is looked at.
fn mend_checksums(bytes: &mut [u8]) {
    if bytes.len() >= 48 && bytes.starts_with(b"\x89HDF\r\n\x1a\n") && bytes[8] >= 2 {
        let sum = jenkins_lookup3(&bytes[..44]);
        bytes[44..48].copy_from_slice(&sum.to_le_bytes());
    }
    let headers: Vec<usize> =
        (0..bytes.len().saturating_sub(8)).filter(|&at| bytes[at..].starts_with(b"OHDR\x02")).collect();
    for at in headers {
        let flags = bytes[at + 5];
        let (times, phases) = (usize::from(flags >> 5 & 1) * 16, usize::from(flags >> 4 & 1) * 4);
        let width = 1 << (flags & 3);
        let length_at = at + 6 + times + phases;
        let Some(field) = bytes.get(length_at..length_at + width) else { continue };
        let length = field.iter().rev().fold(0usize, |length, &byte| length << 8 | usize::from(byte));
        let Some(end) = (length_at + width).checked_add(length).filter(|end| end + 4 <= bytes.len()) else { continue };
        let sum = jenkins_lookup3(&bytes[at..end]);
        bytes[end..end + 4].copy_from_slice(&sum.to_le_bytes());
    }
}
