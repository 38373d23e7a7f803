//! Valid CSV files, and each kind of defect with its line and column.

use std::io;

use super::*;

/// A valid `train.csv` with these labels; all pixels of a row have the row's index as value.
fn train(labels: &[u8]) -> String {
    let header = format!("label,{}\n", pixel_names().collect::<Vec<_>>().join(","));
    let row = |(index, label): (usize, &u8)| format!("{label}{}\n", format!(",{index}").repeat(IMAGE_PIXELS));
    header + &labels.iter().enumerate().map(row).collect::<String>()
}

/// A valid `test.csv`: the same file without labels.
fn test(n_images: usize) -> String {
    let unlabelled = |line: &str| format!("{}\n", line.split_once(',').unwrap().1);
    train(&vec![0; n_images]).lines().map(unlabelled).collect()
}

/// The file with one field replaced; line and column count from 1.
fn with(file: &str, line: usize, column: usize, field: &str) -> String {
    let mut lines: Vec<String> = file.lines().map(String::from).collect();
    let mut fields: Vec<&str> = lines[line - 1].split(',').collect();
    fields[column - 1] = field;
    lines[line - 1] = fields.join(",");
    lines.join("\n")
}

#[track_caller]
fn check(file: impl AsRef<[u8]>, expected: CsvError) {
    assert_eq!(Split::from_csv(file.as_ref()), Err(expected));
}

/// A reader that returns one byte at a time and then fails with this message, if there is one.
struct OneByteReader<'a>(&'a [u8], Option<&'static str>);

impl Read for OneByteReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (self.0.split_first(), self.1) {
            (Some((first, rest)), _) => {
                (buffer[0], self.0) = (*first, rest);
                Ok(1)
            }
            (None, Some(why)) => Err(io::Error::other(why)),
            (None, None) => Ok(0),
        }
    }
}

#[test]
fn rows_are_images_with_their_labels() {
    let split = Split::from_csv(train(&[7, 0, 9]).as_bytes()).unwrap();
    assert_eq!((split.len(), split.images.len()), (3, 3 * IMAGE_PIXELS));
    assert_eq!((split.labels.as_slice(), split.image(2)), (&[7, 0, 9][..], &[2; IMAGE_PIXELS][..]));
    assert_eq!(images(test(3).as_bytes()), Ok(split.images));
}

#[test]
fn pixels_keep_their_order() {
    let file = with(&with(&train(&[4]), 2, 2, "255"), 2, 785, "254");
    let split = Split::from_csv(file.as_bytes()).unwrap();
    assert_eq!((split.image(0)[0], split.image(0)[783], split.labels[0]), (255, 254, 4));
}

#[test]
fn line_endings_byte_order_marks_and_blank_lines_are_ignored() {
    let plain = train(&[1, 2]);
    let split = Split::from_csv(plain.as_bytes()).unwrap();
    let windows = plain.replace('\n', "\r\n");
    for same in
        [plain.trim_end(), &windows, windows.trim_end(), &format!("\u{feff}{plain}"), &format!("{windows}\r\n\n")]
    {
        assert_eq!(Split::from_csv(same.as_bytes()).as_ref(), Ok(&split));
    }
    assert_eq!(Split::from_csv(OneByteReader(windows.as_bytes(), None)), Ok(split));
}

#[test]
fn an_invalid_value_is_reported_with_its_position() {
    for found in ["256", "-1", "1.5", "", "x", "\"1\""] {
        let error = |line| CsvError::Value { line, column: 4, name: "pixel2".into(), found: found.into() };
        let file = with(&train(&[1, 2, 3]), 3, 4, found);
        check(&file, error(3));
        check(file.replace('\n', "\r\n"), error(3));
        check(file.replacen('\n', "\n\n\r\n", 1), error(5));
    }
    let last = CsvError::Value { line: 4, column: 785, name: "pixel783".into(), found: "?".into() };
    check(with(&train(&[1, 2, 3]), 4, 785, "?"), last);
    let unlabelled = CsvError::Value { line: 2, column: 4, name: "pixel3".into(), found: "?".into() };
    assert_eq!(images(with(&test(1), 2, 4, "?").as_bytes()), Err(unlabelled));
}

#[test]
fn a_label_is_a_digit() {
    let error = CsvError::Label { line: 3, column: 1, name: "label".into(), expected: 9, found: 10 };
    check(train(&[9, 10]), error);
}

#[test]
fn a_header_of_another_file_is_refused() {
    let header = |column, expected: &str, found: &str| CsvError::Header {
        line: 1,
        column,
        expected: expected.into(),
        found: found.into(),
    };
    check(test(2), header(1, "label", "pixel0"));
    assert_eq!(images(train(&[1]).as_bytes()), Err(header(1, "pixel0", "label")));
    check(with(&train(&[1]), 1, 3, "pixel2"), header(3, "pixel1", "pixel2"));
    check("<!DOCTYPE html><html><head><title>Sign in", header(1, "label", "<!DOCTYPE html><html><he"));
    // Without a header the first image is on its line.
    check(train(&[3]).split_once('\n').unwrap().1, header(1, "label", "3"));
}

#[test]
fn columns_are_counted() {
    check("label,pixel0\n1,2\n", CsvError::Short { line: 1, expected: 785, found: 2 });
    check(
        train(&[1, 2]).trim_end().rsplit_once(',').unwrap().0,
        CsvError::Short { line: 3, expected: 785, found: 784 },
    );
    check(with(&train(&[1, 2]), 2, 5, "3,4"), CsvError::Long { line: 2, expected: 785, found: 786 });
}

#[test]
fn a_file_without_rows_is_refused() {
    for file in ["", "\n\r\n", &train(&[])] {
        check(file, CsvError::NoRows);
    }
}

#[test]
fn invalid_utf8_is_its_own_error() {
    let mut file = train(&[1, 2]).into_bytes();
    *file.iter_mut().rev().nth(1).unwrap() = 0xff;
    check(file, CsvError::Utf8 { line: 3, column: 785, name: "pixel783".into() });
    // The first bytes of a spreadsheet file (a ZIP archive).
    check(b"PK\x03\x04\xff", CsvError::Utf8 { line: 1, column: 1, name: "label".into() });
}

#[test]
fn a_failed_read_names_the_line() {
    let file = train(&[1, 2]);
    let cut = &file.as_bytes()[..file.len() - 9];
    let error = CsvError::Read { line: 3, why: "the disk is gone".into() };
    assert_eq!(Split::from_csv(OneByteReader(cut, Some("the disk is gone"))), Err(error));
}

#[test]
fn messages_name_the_position_and_a_remedy() {
    let message = Split::from_csv(with(&train(&[1]), 2, 4, "256").as_bytes()).unwrap_err().to_string();
    assert_eq!(message, "line 2, column 4 (pixel2): \"256\" is not a whole number from 0 to 255; correct it");
}

#[test]
fn a_submission_counts_images_from_one() {
    assert_eq!(submission(&[2, 0, 9]), "ImageId,Label\n1,2\n2,0\n3,9\n");
    assert_eq!(submission(&[]), "ImageId,Label\n");
}
