//! TensorFlow's records: a length, the bytes, and a checksum of both.

/// Adds a record.
pub(super) fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = (bytes.len() as u64).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked(&length).to_le_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(&masked(bytes).to_le_bytes());
}

/// The checksum of a record: that of bytes that hold checksums themselves would be weak, so it is turned and moved.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Castagnoli's polynomial, its bits in the reverse order.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What each byte adds to the checksum.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| sum >> 8 ^ TABLE[usize::from(sum as u8 ^ byte)])
}

/// The records of a file, whose checksums are right.
#[cfg(test)]
pub(super) fn read(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(masked(&bytes[..8]).to_le_bytes(), bytes[8..12]);
        let record = &bytes[12..12 + length];
        assert_eq!(masked(record).to_le_bytes(), bytes[12 + length..16 + length]);
        records.push(record.to_vec());
        bytes = &bytes[16 + length..];
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn records_are_read_back() {
        let mut file = Vec::new();
        append(&mut file, b"one");
        append(&mut file, b"");
        assert_eq!(file.len(), 16 + 3 + 16);
        assert_eq!(read(&file), [b"one".to_vec(), Vec::new()]);
    }
}
