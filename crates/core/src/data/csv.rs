//! Kaggle's "Digit Recognizer" files: parses `train.csv` and `test.csv` to images and labels, and formats predicted
//! digits as a submission. It reads row by row from any [`Read`], never opens a file and never holds a whole text.
//!
//! Every defect of a file is a [`CsvError`]; nothing panics.

use std::cmp::Ordering;
use std::fmt::Write;
use std::io::{Chain, Read};

use csv::{ByteRecord, ReaderBuilder, Terminator};

use super::Split;
use crate::spec::{IMAGE_PIXELS, N_CLASSES};

/// The name of the first column of a labelled file.
const LABEL: &str = "label";

/// A defect of a CSV file. Lines and columns count from 1; the header is line 1, and a column is a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// Another column name than expected.
    #[error(
        "line {line}, column {column}: the header should say {expected:?}, found {found:?}; choose Kaggle's train.csv to train and its test.csv to predict"
    )]
    Header {
        /// Line of the header.
        line: u64,
        /// The first column with another name.
        column: usize,
        /// Expected name.
        expected: String,
        /// The name in the file, limited to 24 characters.
        found: String,
    },
    /// A line with too few columns.
    #[error(
        "line {line} ends after column {found}, expected {expected} columns; it is truncated or split: download the file again"
    )]
    Short {
        /// The line.
        line: u64,
        /// Expected number of columns.
        expected: usize,
        /// Actual number of columns.
        found: usize,
    },
    /// A line with too many columns.
    #[error("line {line} has {found} columns, expected {expected}; remove the columns after column {expected}")]
    Long {
        /// The line.
        line: u64,
        /// Expected number of columns.
        expected: usize,
        /// Actual number of columns.
        found: usize,
    },
    /// A field that is not a number from 0 to 255.
    #[error("line {line}, column {column} ({name}): {found:?} is not a whole number from 0 to 255; correct it")]
    Value {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// Name of the column.
        name: String,
        /// The text of the field, limited to 24 characters.
        found: String,
    },
    /// A label above 9.
    #[error("line {line}, column {column} ({name}) is {found}, expected at most {expected}; labels must be 0 to 9")]
    Label {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// Name of the column.
        name: String,
        /// Largest valid label.
        expected: u8,
        /// The label.
        found: u8,
    },
    /// A field that is not UTF-8.
    #[error(
        "line {line}, column {column} ({name}) is not UTF-8 text; unpack the file if it is an archive, or save it as plain CSV"
    )]
    Utf8 {
        /// The line.
        line: u64,
        /// The column.
        column: usize,
        /// Expected name of the column.
        name: String,
    },
    /// A file without rows.
    #[error("the file holds no image: expected a header and one row per image; download it again")]
    NoRows,
    /// The reader failed.
    #[error("line {line} could not be read ({why}); try again, or download the file again")]
    Read {
        /// The line.
        line: u64,
        /// The error of the reader.
        why: String,
    },
}

impl Split {
    /// Parses Kaggle's `train.csv`: a header, then a label and 784 pixels per row, at least one row.
    ///
    /// # Errors
    /// The first defect of the file.
    pub fn from_csv(file: impl Read) -> Result<Self, CsvError> {
        let names = std::iter::once(LABEL.into()).chain(pixel_names());
        let mut rows = Rows::open(file, names.collect())?;
        let mut split = Self::default();
        loop {
            split.labels.push(rows.label()?);
            rows.append_pixels(&mut split.images)?;
            if !rows.next()? {
                return Ok(split);
            }
        }
    }
}

/// Parses Kaggle's `test.csv`: a header, then 784 pixels per row, at least one row. Returns 784 bytes per image.
///
/// # Errors
/// The first defect of the file.
pub fn images(file: impl Read) -> Result<Vec<u8>, CsvError> {
    let mut rows = Rows::open(file, pixel_names().collect())?;
    let mut images = Vec::new();
    loop {
        rows.append_pixels(&mut images)?;
        if !rows.next()? {
            return Ok(images);
        }
    }
}

/// The text of a Kaggle submission: the predicted digit of each image of `test.csv`, in order, with ids from 1.
pub fn submission(digits: &[u8]) -> String {
    let mut text = String::from("ImageId,Label\n");
    for (index, digit) in digits.iter().enumerate() {
        writeln!(text, "{},{digit}", index + 1).expect("a string takes any text");
    }
    text
}

/// The rows of a file, one at a time.
struct Rows<R> {
    reader: csv::Reader<Chain<R, &'static [u8]>>,
    record: ByteRecord,
    /// Names of the expected columns, in order.
    names: Vec<String>,
}

impl<R: Read> Rows<R> {
    /// Checks the header and moves to the first row.
    fn open(file: R, names: Vec<String>) -> Result<Self, CsvError> {
        // With a line end appended, the last row also ends in one, which `line` relies on.
        let file = file.chain(&b"\n"[..]);
        let mut builder = ReaderBuilder::new();
        // Numbers need no quotes. Without quoting, a stray quote damages only its own field.
        builder.has_headers(false).flexible(true).quoting(false).terminator(Terminator::Any(b'\n'));
        let mut rows = Self { reader: builder.from_reader(file), record: ByteRecord::new(), names };
        if rows.advance()? {
            rows.check_header()?;
            if rows.next()? {
                return Ok(rows);
            }
        }
        Err(CsvError::NoRows)
    }

    /// Moves to the next row and checks its number of columns. Returns false at the end of the file.
    fn next(&mut self) -> Result<bool, CsvError> {
        let is_row = self.advance()?;
        if is_row {
            self.check_length()?;
        }
        Ok(is_row)
    }

    /// Moves to the next line that is not blank. Returns false at the end of the file.
    fn advance(&mut self) -> Result<bool, CsvError> {
        loop {
            let read = self.reader.read_byte_record(&mut self.record);
            let is_record =
                read.map_err(|error| CsvError::Read { line: self.reader.position().line(), why: error.to_string() })?;
            let is_blank = self.record.len() == 1 && self.record[0].trim_ascii().is_empty();
            if !is_record || !is_blank {
                return Ok(is_record);
            }
        }
    }

    fn check_header(&self) -> Result<(), CsvError> {
        for (index, expected) in self.names.iter().enumerate().take(self.record.len()) {
            let found = self.text(index)?;
            if found != expected {
                let (expected, found) = (expected.clone(), excerpt(found));
                return Err(CsvError::Header { line: self.line(), column: index + 1, expected, found });
            }
        }
        self.check_length()
    }

    fn check_length(&self) -> Result<(), CsvError> {
        let (line, expected, found) = (self.line(), self.names.len(), self.record.len());
        match found.cmp(&expected) {
            Ordering::Less => Err(CsvError::Short { line, expected, found }),
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(CsvError::Long { line, expected, found }),
        }
    }

    /// The line of the current row, from 1.
    fn line(&self) -> u64 {
        // The reader is past the end of the line. The record's own position would be that of blank lines before it.
        self.reader.position().line() - 1
    }

    /// The text of a field of the current row, without surrounding white space and `\r`.
    fn text(&self, index: usize) -> Result<&str, CsvError> {
        str::from_utf8(self.record[index].trim_ascii()).map_err(|_| {
            let name = self.names[index].clone();
            CsvError::Utf8 { line: self.line(), column: index + 1, name }
        })
    }

    /// The value of a field of the current row.
    fn value(&self, index: usize) -> Result<u8, CsvError> {
        let text = self.text(index)?;
        text.parse().map_err(|_| {
            let (name, found) = (self.names[index].clone(), excerpt(text));
            CsvError::Value { line: self.line(), column: index + 1, name, found }
        })
    }

    /// The label of the current row, 0 to 9.
    fn label(&self) -> Result<u8, CsvError> {
        let highest = (N_CLASSES - 1) as u8;
        match self.value(0)? {
            label if label <= highest => Ok(label),
            found => {
                let name = self.names[0].clone();
                Err(CsvError::Label { line: self.line(), column: 1, name, expected: highest, found })
            }
        }
    }

    /// Appends the pixels of the current row: its last 784 columns.
    fn append_pixels(&self, images: &mut Vec<u8>) -> Result<(), CsvError> {
        for index in self.names.len() - IMAGE_PIXELS..self.names.len() {
            images.push(self.value(index)?);
        }
        Ok(())
    }
}

/// The column names `pixel0` to `pixel783`.
fn pixel_names() -> impl Iterator<Item = String> {
    (0..IMAGE_PIXELS).map(|pixel| format!("pixel{pixel}"))
}

/// The first 24 characters of a text, for error messages.
fn excerpt(text: &str) -> String {
    text.chars().take(24).collect()
}

#[cfg(test)]
mod tests;
