//! Kaggle's "Digit Recognizer" files: `train.csv` and `test.csv` to images and labels, digits to a submission.
//! Reads a row at a time from whatever bytes come from; never opens a file, never holds the text of one.
//!
//! Everything that can be wrong with one is a [`CsvError`]; nothing panics.

use std::cmp::Ordering;
use std::fmt::Write;
use std::io::{Chain, Read};

use csv::{ByteRecord, ReaderBuilder, Terminator};

use super::Split;
use crate::spec::{IMAGE_PIXELS, N_CLASSES};

/// The name of the first column of a labelled file.
const LABEL: &str = "label";

/// What is wrong with a CSV file. Lines and columns count from 1; the header is line 1, a column is a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    #[error(
        "line {line}, column {column}: the header should say {expected:?}, found {found:?}; choose train.csv where labels are learned and test.csv where they are predicted, as Kaggle has them"
    )]
    Header { line: u64, column: usize, expected: String, found: String },
    #[error(
        "line {line} ends after column {found}, expected {expected} columns; it is cut short or split: get the file again"
    )]
    Short { line: u64, expected: usize, found: usize },
    #[error("line {line} has {found} columns, expected {expected}; remove what was added after column {expected}")]
    Long { line: u64, expected: usize, found: usize },
    #[error("line {line}, column {column} ({name}): {found:?} is not a whole number from 0 to 255; correct it")]
    Value { line: u64, column: usize, name: String, found: String },
    #[error(
        "line {line}, column {column} ({name}) is {found}, expected at most {expected}; only digits can be learned"
    )]
    Label { line: u64, column: usize, name: String, expected: u8, found: u8 },
    #[error(
        "line {line}, column {column} ({name}) is not UTF-8 text; unpack the file if it is an archive, or save it as plain CSV"
    )]
    Utf8 { line: u64, column: usize, name: String },
    #[error("the file holds no image: a header and a row for each image are expected; get it again")]
    NoRows,
    #[error("line {line} could not be read ({why}); try again, or get the file again")]
    Read { line: u64, why: String },
}

impl Split {
    /// Reads Kaggle's `train.csv`: a header, then a label and 784 pixels a row, at least one row.
    ///
    /// # Errors
    /// The first thing that is wrong with the file.
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

/// The pixels of Kaggle's `test.csv`: a header, then 784 pixels a row, at least one row. 784 bytes an image.
///
/// # Errors
/// The first thing that is wrong with the file.
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

/// What Kaggle wants back: the digit read from each image of `test.csv`, in its order, under ids from 1.
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
    /// The columns there should be, in order.
    names: Vec<String>,
}

impl<R: Read> Rows<R> {
    /// Reads the header, and requires it to be right and a row to follow; that row is the first.
    fn open(file: R, names: Vec<String>) -> Result<Self, CsvError> {
        // With a line end behind everything, each row ends in one, and `line` need not ask whether the last did.
        let file = file.chain(&b"\n"[..]);
        let mut builder = ReaderBuilder::new();
        // Numbers need no quotes: a stray one then spoils its field, not all lines up to the next.
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

    /// Goes to the next row and counts its columns. False at the end of the file.
    fn next(&mut self) -> Result<bool, CsvError> {
        let is_row = self.advance()?;
        if is_row {
            self.check_length()?;
        }
        Ok(is_row)
    }

    /// Goes to the next line that is not blank.
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
        // The reader is past the line's end. The record's own position would count blank lines before it as its own.
        self.reader.position().line() - 1
    }

    /// The text of a field of the current row, without the space and the `\r` around it.
    fn text(&self, index: usize) -> Result<&str, CsvError> {
        str::from_utf8(self.record[index].trim_ascii()).map_err(|_| {
            let name = self.names[index].clone();
            CsvError::Utf8 { line: self.line(), column: index + 1, name }
        })
    }

    fn value(&self, index: usize) -> Result<u8, CsvError> {
        let text = self.text(index)?;
        text.parse().map_err(|_| {
            let (name, found) = (self.names[index].clone(), excerpt(text));
            CsvError::Value { line: self.line(), column: index + 1, name, found }
        })
    }

    /// The label of a labelled row, 0 to 9.
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

    /// Appends the row's pixels, its last 784 columns.
    fn append_pixels(&self, images: &mut Vec<u8>) -> Result<(), CsvError> {
        for index in self.names.len() - IMAGE_PIXELS..self.names.len() {
            images.push(self.value(index)?);
        }
        Ok(())
    }
}

/// `pixel0` to `pixel783`.
fn pixel_names() -> impl Iterator<Item = String> {
    (0..IMAGE_PIXELS).map(|pixel| format!("pixel{pixel}"))
}

/// The beginning of a text, short enough for a message.
fn excerpt(text: &str) -> String {
    text.chars().take(24).collect()
}

#[cfg(test)]
mod tests;
