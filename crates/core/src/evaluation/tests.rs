//! Judgements against figures worked out by hand.

use super::*;

/// A prediction that gives `digit` the probability `confidence` and the others an equal share of the rest.
fn surely(digit: usize, confidence: f32) -> Prediction {
    let mut probabilities = [(1.0 - confidence) / 9.0; N_CLASSES];
    probabilities[digit] = confidence;
    Prediction { probabilities }
}

/// Judges images given as label, digit read and confidence.
fn judge(images: &[(u8, usize, f32)]) -> Judgement {
    let mut judge = Judge::default();
    for (index, &(label, read, confidence)) in images.iter().enumerate() {
        judge.add(index, label, &surely(read, confidence));
    }
    judge.finish()
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-6
}

#[test]
fn counts_add_up() {
    let judged = judge(&[(0, 0, 0.9), (0, 0, 0.9), (0, 1, 0.6), (1, 1, 0.9), (2, 1, 0.7)]);
    assert_eq!((judged.n_images, judged.n_errors, judged.accuracy), (5, 2, 0.6));
    assert_eq!((judged.confusion[0][..3].to_vec(), judged.confusion[2][1]), (vec![2, 1, 0], 1));
    assert_eq!(judged.confusion.iter().flatten().sum::<u32>(), 5);
    assert_eq!(judged.interval, wilson(3, 5));
    assert_eq!(judged.calibration.bins.iter().map(|bin| bin.n_images).sum::<usize>(), 5);
}

#[test]
fn digits_are_scored_by_hand_worked_figures() {
    let judged = judge(&[(0, 0, 0.9), (0, 0, 0.9), (0, 1, 0.6), (1, 1, 0.9), (2, 1, 0.7)]);
    let [zero, one, two, three] = [0, 1, 2, 3].map(|digit: usize| judged.digits[digit]);
    assert!(close(zero.precision, 1.0) && close(zero.recall, 2.0 / 3.0) && close(zero.f1, 0.8));
    assert!(close(one.precision, 1.0 / 3.0) && close(one.recall, 1.0) && close(one.f1, 0.5));
    assert_eq!((two, three), (DigitScore::default(), DigitScore::default()));
    // Over the three digits that occur; the other seven are no failures.
    assert!(close(judged.mean.precision, 4.0 / 9.0) && close(judged.mean.recall, 5.0 / 9.0));
    assert!(close(judged.mean.f1, 1.3 / 3.0));
}

#[test]
fn the_loss_is_the_mean_cross_entropy() {
    // -ln 0.8, and -ln 0.05 for the truth beside a mistake of 0.55.
    let judged = judge(&[(3, 3, 0.8), (4, 5, 0.55)]);
    assert!(close(judged.loss, (0.223_143_551 + 2.995_732_274) / 2.0), "{}", judged.loss);
    let vanished = judge(&[(4, 5, 1.0)]);
    assert!((vanished.loss - 87.3365).abs() < 1e-3, "{}", vanished.loss);
}

#[test]
fn the_most_confident_mistakes_are_kept_in_order() {
    let images: Vec<_> = (0..60).map(|i| (7, if i % 2 == 0 { 1 } else { 7 }, 0.4 + i as f32 / 100.0)).collect();
    let judged = judge(&images);
    let indices: Vec<_> = judged.mistakes.iter().map(|mistake| mistake.index).collect();
    assert_eq!(indices, (0..60).filter(|i| i % 2 == 0).rev().take(MAX_MISTAKES).collect::<Vec<_>>());
    let first = &judged.mistakes[0];
    assert_eq!((first.label, first.read, first.confidence), (7, 1, 0.98));
    assert_eq!((judged.n_errors, first.probabilities[1]), (30, 0.98));
    let even = judge(&[(1, 2, 0.5), (1, 2, 0.5), (1, 2, 0.5)]);
    assert_eq!(even.mistakes.iter().map(|mistake| mistake.index).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn nothing_is_judged_without_a_nan() {
    let judged = judge(&[]);
    assert_eq!((judged.accuracy, judged.loss, judged.calibration.error), (0.0, 0.0, 0.0));
    assert_eq!((judged.mean, judged.interval), (DigitScore::default(), Interval { low: 0.0, high: 1.0 }));
}

#[test]
fn a_diverged_network_is_judged_without_a_panic() {
    let mut judge = Judge::default();
    judge.add(0, 3, &Prediction { probabilities: [f32::NAN; N_CLASSES] });
    let judged = judge.finish();
    assert_eq!((judged.n_errors, judged.mistakes.len()), (1, 1));
    assert!(judged.loss.is_nan());
}

#[test]
fn an_ensemble_outvotes_its_members() {
    let together = ensemble(&[surely(3, 0.55), surely(8, 0.5), surely(3, 0.6)]);
    assert_eq!(together.digit(), 3);
    assert!((together.probabilities[8] - (0.05 + 0.5 + 0.4 / 9.0) / 3.0).abs() < 1e-6);
    assert!((together.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    assert_eq!(ensemble(&[]).probabilities, [0.1; N_CLASSES]);
}

#[test]
fn judgements_cross_to_the_page() {
    let judged = judge(&[(0, 0, 0.9), (2, 1, 0.7)]);
    let bytes = postcard::to_stdvec(&judged).unwrap();
    assert_eq!(postcard::from_bytes::<Judgement>(&bytes).unwrap(), judged);
}

#[test]
fn the_terminal_shows_a_line_and_two_tables() {
    let mut images: Vec<_> = (0..10_000).map(|i| ((i % 10) as u8, i % 10, 0.996)).collect();
    images.iter_mut().take(46).for_each(|image| image.1 = 9 - image.1);
    let judged = judge(&images);
    assert_eq!(
        judged.headline(),
        "99.54 % right (95 % interval 99.39 to 99.65 %), 46 errors on 10000 test images, \
         loss 0.0395, calibration error 0.1 %"
    );
    let text = judged.to_string();
    assert!(
        text.contains("\ndigit  images  precision    recall        F1\n0        1000    99.60 %   99.50 %   99.55 %\n"),
        "{text}"
    );
    assert!(text.contains("mean    10000    99.54 %   99.54 %   99.54 %\n"), "{text}");
    assert!(text.ends_with("\n   9   4   ·   ·   ·   ·   ·   ·   ·   · 996"), "{text}");
    assert_eq!(text.lines().count(), 1 + 1 + 1 + 11 + 1 + 2 + 10);
}
