//! In the place of `columnar` where the feature `parquet` is off.

use std::convert::Infallible;
use std::path::Path;

use super::column::{Column, FileFormat, Sink, WrittenColumn};
use super::error::Problem;

fn left_out(format: FileFormat) -> Problem {
    let convert = "write the table as text, in pandas with to_csv";
    Problem::LeftOut { format: format.name(), feature: "parquet", convert }
}

/// A file of columns: there is none.
pub(super) struct ColumnFile {
    none: Infallible,
}

impl ColumnFile {
    pub(super) fn open(path: &Path) -> Result<Option<ColumnFile>, Problem> {
        FileFormat::of(path)?.map_or(Ok(None), |format| Err(left_out(format)))
    }

    pub(super) fn columns(&self) -> &[Column] {
        match self.none {}
    }

    pub(super) fn in_words(&self) -> String {
        match self.none {}
    }

    pub(super) fn read<S: Sink>(
        &mut self,
        _: &mut [Option<S>],
        _: &mut dyn FnMut(&mut [Option<S>]),
    ) -> Result<usize, Problem> {
        match self.none {}
    }

    pub(super) fn pictures(
        &self,
        _: usize,
        _: &mut dyn FnMut(Vec<Option<Vec<u8>>>) -> Result<bool, Problem>,
    ) -> Result<(), Problem> {
        match self.none {}
    }

    pub(super) fn class_names(&self, _: &str) -> Option<Vec<String>> {
        match self.none {}
    }
}

pub(super) fn write(_: &Path, _: &[(String, WrittenColumn)]) -> Result<(), Problem> {
    Err(left_out(FileFormat::Parquet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_columns_are_refused_with_what_to_do_and_others_are_not_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            ColumnFile::open(&path).map(|file| file.is_some()).map_err(|problem| problem.at(path.display()).to_string())
        };
        // By their bytes, whatever they are called.
        for (name, bytes, format) in [
            ("houses.parquet", &b"PAR1....PAR1"[..], "Parquet"),
            ("houses.bin", b"PAR1....PAR1", "Parquet"),
            ("houses.feather", b"ARROW1\0\0........", "Arrow"),
        ] {
            let said = open(name, bytes).unwrap_err();
            let all = [name, format, "leaves out", "--features parquet", "to_csv"];
            assert!(all.iter().all(|word| said.contains(word)), "{said}");
        }
        assert_eq!(open("houses.csv", b"rooms,price\n3,100\n"), Ok(false));
        assert!(open("houses.parquet", b"rooms,price\n3,100\n").unwrap_err().contains("Parquet"));
        let written = write(&folder.path().join("answers.parquet"), &[]).unwrap_err().to_string();
        assert!(written.contains("--features parquet"), "{written}");
    }
}
