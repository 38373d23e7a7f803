//! Runs the program `inkling` on a folder of a few synthetic digits and checks its output, its files and its exit
//! codes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use image::{GrayImage, Luma};
use inkling_core::data::{Split, synthetic};
use inkling_core::receipts::Records;
use serde_json::Value;
use tempfile::TempDir;

const N_TRAIN: usize = 192;
const N_TEST: usize = 50;

/// A temporary folder with a data set in `./digits`.
fn folder_with_digits() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let digits = folder.path().join("digits");
    fs::create_dir(&digits).unwrap();
    write_idx(&digits, "train", &synthetic::split(synthetic::SEED, 0, N_TRAIN));
    write_idx(&digits, "t10k", &synthetic::split(synthetic::SEED, 20_000, N_TEST));
    folder
}

fn write_idx(folder: &Path, name: &str, split: &Split) {
    let header =
        |magic: u32, dimensions: &[u32]| [&[magic], dimensions].concat().into_iter().flat_map(u32::to_be_bytes);
    let n = split.len() as u32;
    let images: Vec<u8> = header(2051, &[n, 28, 28]).chain(split.images.iter().copied()).collect();
    let labels: Vec<u8> = header(2049, &[n]).chain(split.labels.iter().copied()).collect();
    fs::write(folder.join(format!("{name}-images-idx3-ubyte")), images).unwrap();
    fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), labels).unwrap();
}

fn inkling(folder: &Path, args: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inkling"));
    command.current_dir(folder).args(args.split_whitespace());
    command
}

fn run(folder: &Path, args: &str) -> Output {
    inkling(folder, args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json_lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn speed_prints_a_report() {
    let folder = folder_with_digits();
    let output = run(folder.path(), "speed --engine cpu");
    assert!(output.status.success(), "{}", stderr(&output));
    let report = stdout(&output);
    let lines: Vec<_> = report.lines().collect();
    assert!(lines[0].starts_with("Inkling speed report, 20") && lines[1].starts_with("CPU: "), "{report}");
    let compact = lines.iter().find(|line| line.starts_with("compact ")).unwrap();
    let numbers: Vec<f64> = compact.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    assert!(numbers.len() == 3 && numbers.iter().all(|number| *number > 0.0), "{report}");
}

const TRAIN: &str = "train --model compact --dataset ./digits --engine cpu --epochs 2 --batch 32";

/// `inkling summary | head -1`: the pipe closes early, and the program does not panic.
#[test]
fn a_closed_pipe_is_not_an_error() {
    let folder = folder_with_digits();
    let mut command = inkling(folder.path(), "summary --model leaky");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", stderr(&output));
}

#[test]
fn train_evaluate_and_predict_agree() {
    let folder = folder_with_digits();
    let trained = run(folder.path(), &format!("{TRAIN} --json --out kept"));
    assert!(trained.status.success(), "{}", stderr(&trained));
    let lines = json_lines(&trained);
    let kinds: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["epoch", "epoch", "done"]);
    for key in ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "images_per_second", "seconds"] {
        assert!(lines[1][key].is_number(), "{key} in {}", lines[1]);
    }
    let done = &lines[2];
    assert_eq!((done["parameters"].as_u64(), done["test_images"].as_u64()), (Some(13_904), Some(N_TEST as u64)));

    let evaluated =
        run(folder.path(), "evaluate --weights kept/compact.safetensors --dataset ./digits --engine cpu --json");
    let evaluated = &json_lines(&evaluated)[0];
    assert_eq!(evaluated["test_errors"], done["test_errors"]);
    assert!((evaluated["test_loss"].as_f64().unwrap() - done["test_loss"].as_f64().unwrap()).abs() < 1e-4);

    let seven = synthetic::image(synthetic::SEED, 3).0;
    let paper = GrayImage::from_fn(28, 28, |x, y| Luma([255 - seven[(y * 28 + x) as usize]]));
    paper.save(folder.path().join("digit.png")).unwrap();
    let predicted = run(folder.path(), "predict --weights kept/compact.safetensors --engine cpu --json digit.png");
    let probabilities = json_lines(&predicted)[0]["probabilities"].as_array().unwrap().clone();
    let sum: f64 = probabilities.iter().filter_map(Value::as_f64).sum();
    assert!(probabilities.len() == 10 && (sum - 1.0).abs() < 1e-3, "{probabilities:?}");
}

#[test]
fn without_json_each_epoch_is_a_line_in_keras_s_format() {
    let folder = folder_with_digits();
    let trained = run(folder.path(), &format!("{TRAIN} --train-limit 64 --test-limit 10"));
    let text = stdout(&trained);
    assert!(text.starts_with("Epoch 1/2 - ") && text.contains(" - val_accuracy: "), "{text}");
    assert!(folder.path().join("out/compact.safetensors").exists());
}

/// The receipt holds the values that `--json` printed; repeating the run results in bit-identical weights.
#[test]
fn a_receipt_is_verified_by_repeating_the_run() {
    let folder = folder_with_digits();
    let trained = run(folder.path(), &format!("{TRAIN} --json --out kept --augment shift=1"));
    let done = json_lines(&trained).pop().unwrap();
    let receipt: Value = read_json(&folder.path().join("kept/compact.receipt.json"));
    for key in ["model", "parameters", "test_accuracy", "test_errors", "test_images"] {
        assert_eq!(receipt[key], done[key], "{key}");
    }
    assert_eq!(
        receipt["command"],
        "inkling train --model compact --dataset ./digits --engine cpu --epochs 2 --batch 32 --augment shift=1 --seed 1"
    );
    let verified = run(folder.path(), "verify kept/compact.receipt.json");
    assert!(
        verified.status.success() && stdout(&verified).to_lowercase().contains("identical"),
        "{}",
        stdout(&verified)
    );
    let board = stdout(&run(folder.path(), "scoreboard kept/compact.receipt.json"));
    assert!(board.contains("compact") && board.contains("not run"), "{board}");

    let other = fs::read_to_string(folder.path().join("kept/compact.receipt.json")).unwrap();
    let other = other.replacen("\"shift\": 1.0", "\"shift\": 2.0", 1);
    fs::write(folder.path().join("other.json"), other).unwrap();
    let differs = run(folder.path(), "verify other.json");
    assert!(!stdout(&differs).to_lowercase().contains("identical"), "{}", stdout(&differs));
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The weights that the page ships: small, and with their measured accuracy.
#[test]
fn packed_weights_state_their_measured_accuracy() {
    let folder = folder_with_digits();
    assert!(run(folder.path(), &format!("{TRAIN} --out kept")).status.success());
    let pack = "pack --weights kept/compact.safetensors --receipt kept/compact.receipt.json --out small.safetensors";
    let packed = run(folder.path(), pack);
    assert!(packed.status.success(), "{}", stderr(&packed));
    let size = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len();
    assert!(size("small.safetensors") * 2 < size("kept/compact.safetensors"));
    let evaluated = run(folder.path(), "evaluate --weights small.safetensors --dataset ./digits --engine cpu --json");
    let accuracy = json_lines(&evaluated)[0]["test_accuracy"].as_f64().unwrap();
    assert!(stdout(&packed).contains(&format!("{:.2} %", accuracy * 100.0)), "{}", stdout(&packed));
    let ensemble =
        "evaluate --weights small.safetensors kept/compact.safetensors --dataset ./digits --engine cpu --json";
    assert_eq!(json_lines(&run(folder.path(), ensemble))[0]["model"], "compact+compact");
    let with_receipt = format!("{ensemble} --receipt pair.json");
    assert_eq!(json_lines(&run(folder.path(), &with_receipt))[0]["test_images"], 50);
    let recorded = run(folder.path(), "scoreboard kept/compact.receipt.json pair.json --site records.postcard");
    assert!(stdout(&recorded).contains("| 2 compact; 1 of them without a receipt |"), "{}", stdout(&recorded));
    let records = Records::from_bytes(&fs::read(folder.path().join("records.postcard")).unwrap()).unwrap();
    assert_eq!((records.runs.len(), records.ensembles.len()), (1, 1));
    // With shifts the number of images is the same, and the mean of the predictions differs.
    let shifted = json_lines(&run(folder.path(), &format!("{ensemble} --shifts")))[0].clone();
    let unshifted = json_lines(&run(folder.path(), ensemble))[0].clone();
    assert_eq!(shifted["test_images"], unshifted["test_images"]);
    assert_ne!(shifted["test_loss"], unshifted["test_loss"]);
}

/// Kaggle's files: `train.csv` with labels to train on, `test.csv` without labels to classify.
#[test]
fn kaggle_s_files_can_be_trained_on_and_submitted() {
    let folder = folder_with_digits();
    let kaggle = folder.path().join("kaggle");
    fs::create_dir(&kaggle).unwrap();
    let split = synthetic::split(synthetic::SEED, 0, 120);
    let names: Vec<_> = (0..784).map(|i| format!("pixel{i}")).collect();
    let pixels = |i: usize| split.image(i).iter().map(u8::to_string).collect::<Vec<_>>().join(",");
    let labelled: Vec<_> = (0..100).map(|i| format!("{},{}", split.labels[i], pixels(i))).collect();
    let unlabelled: Vec<_> = (100..120).map(pixels).collect();
    fs::write(kaggle.join("train.csv"), format!("label,{}\n{}\n", names.join(","), labelled.join("\n"))).unwrap();
    fs::write(kaggle.join("test.csv"), format!("{}\n{}\n", names.join(","), unlabelled.join("\n"))).unwrap();
    let trained = run(folder.path(), "train --dataset ./kaggle --engine cpu --epochs 1 --batch 32 --json");
    assert_eq!(json_lines(&trained)[1]["test_images"], 10, "{}", stderr(&trained));
    let submitted = run(folder.path(), "submit --weights out/compact.safetensors --test kaggle/test.csv --engine cpu");
    assert!(submitted.status.success(), "{}", stderr(&submitted));
    let submission = fs::read_to_string(folder.path().join("submission.csv")).unwrap();
    let lines: Vec<_> = submission.lines().collect();
    assert_eq!((lines.len(), lines[0]), (21, "ImageId,Label"));
    assert!(lines[20].starts_with("20,"), "{}", lines[20]);
}

#[test]
fn summary_counts_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let summary: Value = serde_json::from_str(&stdout(&run(folder.path(), "summary --model compact --json"))).unwrap();
    assert_eq!((summary["total"].as_u64(), summary["trainable"].as_u64()), (Some(13_904), Some(13_712)));
    assert_eq!(summary["non_trainable"].as_u64(), Some(192));
    assert!(stdout(&run(folder.path(), "summary --model compact")).contains("Total parameters: 13904"));
}

#[test]
fn wrong_usage_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        "",
        "train --model nothing",
        "train --dataset minst",
        "train --dataset dropped",
        "train --engine webgpu",
        "train --epochs x",
        "predict",
    ] {
        let output = run(folder.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args}: {}", stderr(&output));
    }
}

#[test]
fn failures_exit_with_1_and_a_message_of_one_line() {
    let folder = folder_with_digits();
    let labels = folder.path().join("digits/train-labels-idx1-ubyte");
    let mut bytes = fs::read(&labels).unwrap();
    bytes[8] = 77;
    let fails = |args: &str, message: &str| {
        let output = run(folder.path(), args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{args}: {text}");
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("inkling: ") && last.contains(message), "{args}: {text}");
    };
    fails("train --engine cpu --dataset ./nowhere", "nowhere");
    fails("train --engine cpu --dataset ./digits --batch 0", "batch size");
    fails("evaluate --dataset ./digits --weights none.safetensors", "none.safetensors");
    fails("evaluate --dataset ./digits --weights digits/train-labels-idx1-ubyte", "safetensors");
    fs::write(&labels, bytes).unwrap();
    fails("train --engine cpu --dataset ./digits", "77");
}

#[cfg(unix)]
#[test]
fn an_interrupt_stops_after_the_step_and_saves_the_weights() {
    let folder = folder_with_digits();
    let mut training = inkling(folder.path(), "train --dataset ./digits --engine cpu --epochs 10000 --batch 32 --json");
    let mut training = training.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(training.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    assert!(Command::new("kill").args(["-INT", &training.id().to_string()]).status().unwrap().success());
    let ended = training.wait_with_output().unwrap();
    assert!(ended.status.success());
    assert!(
        stderr(&ended).contains("stopped; the weights so far are in out/compact.safetensors"),
        "{}",
        stderr(&ended)
    );
    let evaluated = run(folder.path(), "evaluate --weights out/compact.safetensors --dataset ./digits --engine cpu");
    assert!(evaluated.status.success(), "{}", stderr(&evaluated));
}
